"""Adaptive solvers by tolerance: the table ``adaptive``."""

from __future__ import annotations

import pandas as pd

from bench.evidence.statistics import interval
from bench.report.declared import DeclaredTable
from bench.report.floors import TRAIN
from bench.report.numbers import bracket, plain, seeds, tick
from bench.report.study import Study
from bench.report.table import BLOCK, INTERVAL_COLUMNS, INTERVAL_NOTE, Table, columns_of


def adaptive(study: Study) -> Table:
    """Adaptive solvers by tolerance, with the evaluations that they were measured to spend."""
    data, text = [], []
    for panel in study.panels:
        expected = study.expected(panel)
        rows = study.measured(panel)
        rows = rows[
            (rows["metric"] == panel.primary)
            & rows["tolerance"].notna()
            & (rows["noise_bank"] == "scoring")
            & (rows["status"] == "ok")
            & (rows["reference_set"] != TRAIN).fillna(True)
        ]
        for label in study.labels(panel):
            label_rows = rows[rows["label"] == label]
            for (solver, tolerance), cell in label_rows.groupby(["solver", "tolerance"], sort=True):
                quality = interval(cell["value"].astype(float), panel.primary)
                nfe = float(cell["nfe"].mean())
                low, high = float(cell["nfe_min"].min()), float(cell["nfe_max"].max())
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
                        "quality": bracket(quality) + seeds(quality.n, expected),
                    }
                )
    caption = (
        "Adaptive solvers choose their own evaluations, so they are listed by what they were "
        "measured to spend (mean over seeds and batches, with the extremes) and take no part in "
        f"the selection at a fixed NFE. {INTERVAL_NOTE}"
    )
    columns = ["data set", "formulation", "solver", "tolerance", "NFE (min to max)", "quality"]
    text_frame = pd.DataFrame(text, columns=columns)
    return Table("adaptive", "Adaptive solvers", caption, pd.DataFrame(data), text_frame)


TABLE = DeclaredTable(
    section="quality",
    rank=50,
    build=adaptive,
    columns=(
        "experiment", "dataset", "label", "solver", "tolerance", "nfe_mean",
        "nfe_min", "nfe_max", "metric", *INTERVAL_COLUMNS,
    ),
)  # fmt: skip
