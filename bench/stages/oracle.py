"""``oracle``: the exact field of a data set whose law is known, sampled and scored as models are.

On each path that a formulation of the experiment ends on, the exact field runs through the cells
of the sweep: what is left is the error of the solver alone, that of a perfect model. Rows
carry the label ``exact.<path>``, and ``exact`` in the unified view. States are float64, the fine
solve that ``endpoint_rmse`` refers to has a tolerance of 1e-8, and the noise is that of the first
training seed.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from bench.evidence import records
from bench.evidence.columns import experiment_columns
from bench.evidence.records import Record
from bench.experiment import digests
from bench.experiment.cells import exact_flows
from bench.experiment.layout import Layout
from bench.experiment.spec import Experiment
from bench.progress import Progress
from bench.stages.running.devices import ready
from bench.stages.running.journal import Entry, Journal
from bench.stages.running.outcome import INCOMPLETE, Outcome, run_guarded
from bench.stages.running.seconds import Seconds

if TYPE_CHECKING:
    from bench.experiment.cells import Cell
    from bench.stages.running.model_sweep import Sweep

TABLE = "oracle.parquet"
JOURNAL = "journal.jsonl"


def run(experiment: Experiment, layout: Layout, *, dataset: str) -> Outcome:
    """Sweep the exact field; finished cells are left alone."""
    upstream = {"data": layout.data(dataset)}
    if experiment.described(dataset).extractor is not None:
        upstream["extractor"] = layout.extractor(dataset)
    return run_guarded(
        layout.oracle(dataset),
        digests.oracle_digest(experiment, dataset),
        partial(_work, experiment, layout, dataset),
        files=[TABLE],
        upstream=upstream,
    )


def _work(experiment: Experiment, layout: Layout, dataset: str, seconds: Seconds) -> dict[str, Any]:
    with seconds("import"):
        device = ready(experiment.training.threads)
        import torch

        from bench.data.files import load
        from bench.models.exact import TOLERANCE, ExactModel
        from bench.stages.running.assembly import references
        from bench.stages.running.model_sweep import Sweep
    folder = layout.oracle(dataset)
    journal, flows = Journal(folder / JOURNAL), exact_flows(experiment)
    rows: list[Record] = []
    count = sum(len(flow.cells) for flow in flows)
    with seconds("sampling"), Progress(f"{dataset}/oracle", count, "cells") as progress:
        real = references(experiment, layout, load(layout.data(dataset)), device)
        law = real.dataset.mixture
        assert law is not None, f"{dataset} has no exact law"
        for flow in flows:
            sweep = Sweep(
                model=ExactModel(law.to(device), flow.path.build()),
                conditional=None,
                seed=experiment.seeds[0],
                spec=experiment.sweep_of(dataset).model_copy(
                    update={"reference_tolerance": TOLERANCE}
                ),
                references=real,
                seconds=seconds,
                device=device,
                dtype=torch.float64,
            )
            columns = {
                "dataset": dataset,
                "label": flow.label,
                "sampler": "ode",
                "sampled_path": flow.path.name,
                "precision": "float64",
            }
            base = digests.oracle_base(experiment, dataset, flow.path)
            for cell in flow.cells:
                digest = digests.cell_digest(base, cell.key() | {"label": flow.label})
                measure = partial(_measure, sweep, cell, columns, digest)
                entry = journal.settled(digest, measure, seconds)
                rows += entry.rows
                progress.advance()
    common = experiment_columns(experiment)
    records.write(records.frame({**row, **common} for row in rows), folder / TABLE)
    failed = sum(row["status"] == "failed" for row in rows)
    return {INCOMPLETE: f"{failed} cells failed" if failed else None}


def _measure(sweep: Sweep, cell: Cell, columns: dict[str, Any], digest: str) -> Entry:
    """The records of a cell; its samples are not shown."""
    return Entry(sweep.measure(cell, columns, digest).rows)
