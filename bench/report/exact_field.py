"""Models beside the exact field, where the law of the data is known: what is read of them."""

from __future__ import annotations

import pandas as pd

from bench.evidence.audit import CONVERGENCE
from bench.evidence.statistics import Interval, interval
from bench.experiment.cells import EXACT
from bench.report.study import TRAIN, Panel, Study

Curve = dict[int, Interval]
"""A metric at each NFE."""


DISCRETISATION, TOTAL, FIELD = "endpoint_rmse", "total_rmse", "field_rmse"


FIELD_ERRORS = ("field_error.data", "field_error.velocity")


SECOND_SOLVER = "dpmpp_2m"
"""Shown beside the common solver where it was swept; the CSV holds all."""


def scored(study: Study, panel: Panel) -> pd.DataFrame:
    """Successful rows of the scoring noise, without comparisons to the training set."""
    rows = study.measured(panel)
    keep = (
        (rows["status"] == "ok")
        & (rows["noise_bank"] == "scoring")
        & (rows["reference_set"] != TRAIN).fillna(True)
    )
    return rows[keep.fillna(False)].dropna(subset="value")


def over_seeds(rows: pd.DataFrame, metric: str) -> Interval:
    """A metric of some rows, one a seed, over seeds."""
    return interval(rows[rows["metric"] == metric]["value"].astype(float), metric)


def split_panels(study: Study) -> list[Panel]:
    """Data sets on which the exact field was sampled."""
    return [panel for panel in study.panels if len(exact_rows(study, panel))]


def exact_rows(study: Study, panel: Panel) -> pd.DataFrame:
    """Rows of the exact field on its paths, at an exact NFE, outside of the unified view."""
    rows = scored(study, panel)
    exact = (
        rows["label"].str.startswith(f"{EXACT}.")
        & rows["tolerance"].isna()
        & (rows["metric"] != CONVERGENCE)
    )
    return rows[exact.fillna(False)]


def compared(study: Study, panel: Panel) -> list[str]:
    """Labels whose models should have learnt the exact field, and have been compared with it."""
    return [label for label in study.labels(panel) if len(study.rows(panel, label, FIELD))]


def by_nfe(rows: pd.DataFrame, label: str, solver: str, grid: str, metric: str) -> Curve:
    """A metric of :func:`scored` rows over seeds, at each NFE."""
    mine = rows[
        (
            (rows["label"] == label)
            & (rows["solver"] == solver)
            & (rows["grid"] == grid)
            & (rows["metric"] == metric)
        ).fillna(False)
    ]
    swept = sorted(set(mine["nfe_requested"].dropna().astype(int)))
    return {nfe: over_seeds(mine[mine["nfe_requested"] == nfe], metric) for nfe in swept}


def over_log_snr(study: Study, panel: Panel, label: str, metric: str) -> dict[float, Interval]:
    """One of :data:`FIELD_ERRORS` over seeds, at each point of log_snr."""
    rows = study.rows(panel, label, metric)
    points = sorted(set(rows["log_snr"].dropna().astype(float)))
    return {point: over_seeds(rows[rows["log_snr"] == point], metric) for point in points}
