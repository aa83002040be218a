"""The split of the error into that of the field and of the solver: the table ``error_split``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from bench.evidence.samplers import COMMON_SOLVER
from bench.evidence.statistics import Interval
from bench.experiment.cells import UNIFIED, exact_label
from bench.report.declared import DeclaredTable
from bench.report.exact_field import (
    DISCRETISATION,
    FIELD,
    FIELD_ERRORS,
    SECOND_SOLVER,
    TOTAL,
    Cells,
    compared,
    exact_rows,
    over_log_snr,
    scored,
    split_panels,
)
from bench.report.numbers import MISSING, bracket
from bench.report.study import Panel, Study
from bench.report.table import BLOCK, INTERVAL_COLUMNS, INTERVAL_NOTE, Table, columns_of
from bench.report.titles import metric_title


def _split_facts(study: Study, panel: Panel) -> Iterator[tuple[dict[str, Any], Interval, int]]:
    """Where and what, its interval, and how many seeds were asked for: the whole split."""
    labels, expected = compared(study, panel), study.expected(panel)
    for label in labels:
        yield {"label": label, "metric": FIELD}, study.model_metric(panel, label, FIELD), expected
        for metric in FIELD_ERRORS:
            for point, interval in over_log_snr(study, panel, label, metric).items():
                yield {"label": label, "metric": metric, "log_snr": point}, interval, expected
    rows = scored(study, panel)
    rows = rows[(rows["grid"] != UNIFIED) & rows["tolerance"].isna()]
    cells = Cells(rows)
    exact = list(dict.fromkeys(exact_rows(study, panel)["label"]))
    for label, solver, grid in sorted(
        set(zip(rows["label"], rows["solver"].fillna(""), rows["grid"].fillna(""), strict=True))
    ):
        if label not in (*labels, *exact):
            continue
        for metric in (DISCRETISATION, TOTAL, panel.primary):
            for nfe, interval in cells.by_nfe(label, solver, grid, metric).items():
                where: dict[str, Any] = {"label": label, "solver": solver, "grid": grid, "nfe": nfe}
                yield where | {"metric": metric}, interval, 1 if label in exact else expected


def error_split(study: Study) -> Table:
    """Error of the field, of the solver, and of both, where the law of the data is known."""
    data: list[dict[str, Any]] = []
    text: list[dict[str, str]] = []
    for panel in split_panels(study):
        place = {"experiment": panel.experiment, "dataset": panel.dataset}
        data += [
            place | where | columns_of(interval, expected)
            for where, interval, expected in _split_facts(study, panel)
        ]
        cells = Cells(scored(study, panel))
        for label in compared(study, panel):
            text += _split_lines(study, panel, label, cells)
    primaries = "; ".join(f"{p.title}: {metric_title(p.primary)}" for p in split_panels(study))
    caption = (
        "Where the law of the data is known, so is the exact field, and the error splits. All are "
        "RMSE of end points from the same noise, in units of the data. Field: a fine solve of the "
        "model against one of the exact field. Solver: a cell against the fine solve of the same "
        "field, for the model and for the exact field; the latter is what a perfect model has "
        "left. Total: the model's cell against the fine solve of the exact field; for each seed it "
        "is at most field plus solver of the model. The primary metric stands beside them "
        f"({primaries or 'none'}). A model may be better for a coarse solver than the exact field, "
        "whose rows are of the noise of the first seed alone. Only models of an independent "
        "coupling without guidance have this field; minibatch OT and stored pairs have another one "
        "with the same ends, and no row. The CSV has every solver, and the field over log_snr. "
        f"{INTERVAL_NOTE}"
    )
    return Table(
        "error_split",
        "Error of the field and of the solver",
        caption,
        pd.DataFrame(data),
        pd.DataFrame(text).fillna(MISSING),
    )


def _split_lines(study: Study, panel: Panel, label: str, cells: Cells) -> Iterator[dict[str, str]]:
    """Lines of a label: a solver and an NFE each."""
    primary = panel.primary
    exact = exact_label(study.experiment(panel).formulation(label).final.path)
    field = study.model_metric(panel, label, FIELD)
    for solver in (COMMON_SOLVER, SECOND_SOLVER):
        grid = study.own_grid(panel, label, solver)
        columns = {
            "solver, model": cells.by_nfe(label, solver, grid, DISCRETISATION),
            "solver, exact field": cells.by_nfe(exact, solver, grid, DISCRETISATION),
            "total": cells.by_nfe(label, solver, grid, TOTAL),
            f"{primary}, model": cells.by_nfe(label, solver, grid, primary),
            f"{primary}, exact field": cells.by_nfe(exact, solver, grid, primary),
        }
        for nfe in columns["total"]:
            line: dict[str, str] = {
                BLOCK: panel.title,
                "formulation": study.titles[label],
                "solver": str(solver),
                "NFE": str(nfe),
                "field": bracket(field),
            }
            yield line | {name: bracket(c[nfe]) for name, c in columns.items() if nfe in c}


TABLE = DeclaredTable(
    section="paths",
    rank=20,
    build=error_split,
    columns=(
        "experiment", "dataset", "label", "metric", *INTERVAL_COLUMNS, "log_snr",
        "solver", "grid", "nfe",
    ),
)  # fmt: skip
