"""Sample every solver on every grid with few samples, for the sweep to choose from.

All cells are of the noise bank ``selection``, and of their samples the primary metric alone is
measured; the sweeps of the label's seeds read them and score
the best, see :mod:`bench.evidence.screening`. What is killed goes on at the next cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.experiment import digests
from bench.experiment.cells import screened_cells
from bench.experiment.layout import Layout
from bench.experiment.spec import Experiment
from bench.stages.running.cell_by_cell import Model, failed_cells, measure, write_rows
from bench.stages.running.outcome import INCOMPLETE, run_guarded
from bench.stages.running.seconds import Seconds

if TYPE_CHECKING:
    from bench.metrics.context import References

TABLE = "screen.parquet"


def run(
    experiment: Experiment, layout: Layout, *, dataset: str, label: str, seeds: Sequence[int]
) -> None:
    """Screen the samplers of ``label`` on ``dataset`` for each seed; finished cells are kept."""
    shared: dict[str, References] = {}
    for seed in seeds:
        of = Model(experiment, layout, dataset, label, seed, "screen")
        run_guarded(
            of.folder,
            digests.screen_digest(experiment, dataset, label, seed),
            partial(_work, of, shared),
            files=[TABLE],
            upstream=of.upstream,
        )


def _work(of: Model, shared: dict[str, References], seconds: Seconds) -> dict[str, Any]:
    todo = screened_cells(of.experiment, of.experiment.formulation(of.label))
    entries, told = measure(of, todo, lambda sweep: {}, shared, seconds)
    with seconds("sampling"):
        write_rows(of.experiment, entries, of.folder / TABLE)
    return {INCOMPLETE: failed_cells(entries), **told}
