"""Adaptive solvers by tolerance: the table ``adaptive``."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from bench.evidence.statistics import interval
from bench.report.by_evaluations import bank_note, compared_bank
from bench.report.declared import DeclaredTable
from bench.report.floors import TRAIN
from bench.report.numbers import MISSING, bracket, plain, seeds, tick
from bench.report.study import Panel, Study
from bench.report.table import BLOCK, INTERVAL_COLUMNS, INTERVAL_NOTE, Table, columns_of


def adaptive(study: Study) -> Table:
    """Adaptive solvers by tolerance, with the evaluations that they were measured to spend."""
    data, text = [], []
    places = _places(study)
    for panel in study.panels:
        expected = study.expected(panel)
        rows = study.measured(panel)
        rows = rows[
            (rows["metric"] == panel.primary)
            & rows["tolerance"].notna()
            & (rows["noise_bank"] == compared_bank(study, panel))
            & (rows["status"] == "ok")
            & (rows["reference_set"] != TRAIN).fillna(True)
        ]
        for label in study.labels(panel):
            label_rows = rows[rows["label"] == label]
            for (solver, tolerance), cell in label_rows.groupby(["solver", "tolerance"], sort=True):
                quality = interval(cell["value"].astype(float), panel.primary)
                nfe = float(cell["nfe"].mean())
                low, high = float(cell["nfe_min"].min()), float(cell["nfe_max"].max())
                place = places.get((panel, label, str(solver), float(str(tolerance))))
                data.append(
                    {
                        "experiment": panel.experiment,
                        "dataset": panel.dataset,
                        "label": label,
                        "solver": solver,
                        "tolerance": tolerance,
                        "nfe_mean": nfe,
                        "nfe_min": low,
                        "nfe_max": high,
                        "competes_at": place,
                        "metric": panel.primary,
                        **columns_of(quality, expected),
                    }
                )
                text.append(
                    {
                        BLOCK: panel.title,
                        "formulation": study.titles[label],
                        "solver": solver,
                        "tolerance": tick(cell["tolerance"].iloc[0]),
                        "NFE (min to max)": f"{plain(nfe)} ({low:.0f} to {high:.0f})",
                        "competes at": MISSING if place is None else f"{place}",
                        "quality": bracket(quality) + seeds(quality.n, expected),
                    }
                )
    caption = (
        "Adaptive solvers choose their own evaluations, so they are listed by what they were "
        "measured to spend (mean over seeds and batches, with the extremes). At a tolerance they "
        "compete with solvers of fixed cost at the smallest NFE of the sweep that they never "
        f"exceeded on the selection noise, and nowhere above the largest. {bank_note(study)}"
        f"{INTERVAL_NOTE}"
    )
    columns = ["data set", "formulation", "solver", "tolerance", "NFE (min to max)", "competes at",
               "quality"]  # fmt: skip
    text_frame = pd.DataFrame(text, columns=columns)
    return Table("adaptive", "Adaptive solvers", caption, pd.DataFrame(data), text_frame)


def _places(study: Study) -> dict[tuple[Panel, str, str, float], int]:
    """The number of evaluations at which each adaptive sampler competes, if at any."""
    return {
        (panel, label, solver, tolerance): int(nfe)
        for panel in study.panels
        for label, solver, tolerance, nfe in _adaptive_cells(study, panel)
    }


def _adaptive_cells(study: Study, panel: Panel) -> Iterator[tuple[str, str, float, int]]:
    rows = panel.of(study.cells)
    rows = rows[rows["tolerance"] > 0]
    where = ["label", "solver", "tolerance", "nfe_requested"]
    yield from rows[where].drop_duplicates().itertuples(index=False, name=None)


TABLE = DeclaredTable(
    section="quality",
    rank=50,
    build=adaptive,
    columns=(
        "experiment", "dataset", "label", "solver", "tolerance", "nfe_mean",
        "nfe_min", "nfe_max", "competes_at", "metric", *INTERVAL_COLUMNS,
    ),
)  # fmt: skip
