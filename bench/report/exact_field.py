"""Models beside the exact field, where the law of the data is known: what is read of them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from bench.evidence.audit import CONVERGENCE
from bench.evidence.statistics import Interval, interval
from bench.experiment.cells import EXACT
from bench.report.floors import TRAIN
from bench.report.study import Panel, Study

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


class Cells:
    """Some of the :func:`scored` rows, looked up by label, solver, grid and metric."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self._values = rows["value"].to_numpy(dtype=float)
        self._asked = rows["nfe_requested"].to_numpy(dtype=float, na_value=np.nan)
        self._places = rows.groupby(["label", "solver", "grid", "metric"], sort=False).indices

    def by_nfe(self, label: str, solver: str, grid: str, metric: str) -> Curve:
        """A metric of one sampler over seeds, at each NFE."""
        places = self._places.get((label, solver, grid, metric), [])
        values: dict[int, list[float]] = {}
        for place in places:
            if math.isfinite(self._asked[place]):
                values.setdefault(int(self._asked[place]), []).append(self._values[place])
        return {nfe: interval(values[nfe], metric) for nfe in sorted(values)}


def over_log_snr(study: Study, panel: Panel, label: str, metric: str) -> dict[float, Interval]:
    """One of :data:`FIELD_ERRORS` over seeds, at each point of log_snr."""
    rows = study.rows(panel, label, metric).astype({"log_snr": float, "value": float})
    return {
        float(str(point)): interval(values, metric)
        for point, values in rows.groupby("log_snr", sort=True)["value"]
    }
