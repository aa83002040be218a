"""Quality with one solver for all: the table ``common_solver``."""

from __future__ import annotations

from functools import partial

from bench.evidence.samplers import COMMON_SOLVER
from bench.report.by_evaluations import quality_by_nfe, without_flow
from bench.report.declared import DeclaredTable
from bench.report.study import Study
from bench.report.table import INTERVAL_COLUMNS, INTERVAL_NOTE, Table
from bench.sampling.solvers.catalogue import SOLVERS


def _common_grids(study: Study) -> str:
    """The grids that the common solver runs on, with the formulations that name other ones."""
    named: dict[str, dict[str, None]] = {}
    for panel in study.panels:
        for label in filter(partial(study.has_flow, panel), study.labels(panel)):
            grid = study.own_grid(panel, label, COMMON_SOLVER)
            named.setdefault(grid, {})[study.titles[label]] = None
    usual = SOLVERS[COMMON_SOLVER].grid
    other_grids = [
        f"{grid} for {', '.join(titles)}" for grid, titles in named.items() if grid != usual
    ]
    return f"on the grid {usual}" + (f" ({'; '.join(other_grids)})" if other_grids else "")


def common_solver(study: Study) -> Table:
    """Primary metric at each NFE with one solver for all."""
    data, text = quality_by_nfe(study, study.common, with_sampler=False)
    caption = (
        f"The same with one solver for all, {COMMON_SOLVER} {_common_grids(study)}. A common "
        "solver is unfair to paths that need their own; it stands here to show how much the choice "
        f"matters. {without_flow(study, 'It does not apply to')}{INTERVAL_NOTE}"
    )
    return Table("common_solver", "Quality with one common solver", caption, data, text)


TABLE = DeclaredTable(
    section="quality",
    rank=40,
    build=common_solver,
    columns=(
        "experiment", "dataset", "label", "metric", "nfe", "sampler",
        *INTERVAL_COLUMNS, "floor", "floor_low", "floor_high", "at_floor",
        "copies",
    ),
)  # fmt: skip
