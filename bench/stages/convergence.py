"""``convergence``: the order of every solver on an exact flow, path by path.

Nothing that was trained takes part. Rows carry the label ``exact.<path>`` and the metric
``convergence_rmse``; ``nfe`` was counted. A solver of fixed cost was asked for evaluations
(``nfe_requested``), one of data-dependent cost for that many equal steps.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from bench.errors import InputError
from bench.evidence import records
from bench.evidence.columns import experiment_columns
from bench.evidence.records import Record
from bench.experiment import digests
from bench.experiment.cells import exact_label
from bench.experiment.layout import Layout
from bench.experiment.measuring import ConvergenceSpec
from bench.experiment.spec import Experiment
from bench.formulations.grammar import Part
from bench.progress import Progress
from bench.sampling.solvers.catalogue import SOLVERS
from bench.stages.running.devices import ready
from bench.stages.running.outcome import Outcome, run_guarded
from bench.stages.running.seconds import Seconds

TABLE = "convergence.parquet"


def run(experiment: Experiment, layout: Layout) -> Outcome:
    """Measure the orders, unless that is done.

    Raises:
        InputError: the experiment asks for none.
    """
    settings = experiment.convergence
    if settings is None:
        remedy = "add the section, such as convergence: {}"
        raise InputError(f"{experiment.name}: convergence: is missing; {remedy}")
    return run_guarded(
        layout.convergence(),
        digests.convergence_digest(settings.paths),
        partial(_work, experiment, layout, settings),
        files=[TABLE],
    )


def _work(
    experiment: Experiment, layout: Layout, settings: ConvergenceSpec, seconds: Seconds
) -> dict[str, Any]:
    with seconds("import"):
        ready(experiment.training.threads)
        from bench.sampling.convergence import METRIC, SAMPLES, errors

    rows: list[Record] = []
    measured = [solver for solver in SOLVERS.values() if solver.order is not None]
    todo = [(Part("paths", name), solver) for name in settings.paths for solver in measured]
    with seconds("metrics"), Progress("convergence", len(todo), "solvers") as progress:
        for path, solver in todo:
            about = {
                "label": exact_label(path),
                "sampler": solver.sampler,
                "sampled_path": path.name,
                "solver": solver.name,
                "grid": "uniform_t" if solver.cost is None else solver.grid,
                "n_samples": SAMPLES,
                "metric": METRIC,
                "precision": "float64",
                "status": "ok",
                "run_digest": digests.convergence_digest(settings.paths),
                **experiment_columns(experiment),
            }
            for run in errors(path.build(), solver):
                asked = run.intervals if solver.cost is None else solver.spends(run.intervals)
                rows.append(
                    about | {"nfe_requested": asked, "nfe": run.evaluations, "value": run.error}
                )
            progress.advance()
    records.write(records.frame(rows), layout.convergence() / TABLE)
    return {}
