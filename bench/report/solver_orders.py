"""The solvers themselves: their order in the catalogue, and their measured order of convergence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from bench.evidence.audit import CONVERGENCE, intervals
from bench.report.study import Study
from bench.sampling.order import order
from bench.sampling.solvers.catalogue import SOLVERS

CATALOGUE = {name: place for place, name in enumerate(SOLVERS)}
"""Place of each solver in the catalogue, which tables and figures keep."""


def by_names(rows: pd.DataFrame, *columns: str) -> Iterator[tuple[list[str], pd.DataFrame]]:
    """Rows by columns that hold names, in the order in which they come."""
    for key, group in rows.groupby(list(columns), sort=False):
        yield list(map(str, key)), group


FAMILIES = {
    "fixed": "Runge-Kutta and Adams methods",
    "adaptive": "adaptive methods, equal steps",
    "exponential": "exponential integrators",
    "stochastic": "stochastic solvers, in law",
}


def convergence_runs(study: Study, experiment: str) -> pd.DataFrame:
    """Solves of an exact flow: columns label, solver, grid, intervals and value, in order.

    A solver of fixed cost was asked for evaluations, from which its intervals follow; one of
    data-dependent cost was asked for equal steps.
    """
    rows = study.records
    keep = (
        (rows["experiment"] == experiment)
        & (rows["metric"] == CONVERGENCE)
        & (rows["status"] == "ok")
    )
    rows = rows[keep.fillna(False)].dropna(subset=["value", "nfe_requested"])
    asked = rows["nfe_requested"].astype(int)
    counts = [
        nfe if SOLVERS[solver].cost is None else intervals(solver, nfe, 1)
        for solver, nfe in zip(rows["solver"], asked, strict=True)
    ]
    rows = rows[["label", "solver", "grid"]].assign(
        intervals=np.array(counts, dtype=float),
        value=rows["value"].astype(float),
        order=rows["solver"].map(CATALOGUE),
    )
    rows = rows.dropna(subset="intervals").fillna({"grid": ""})
    return rows.sort_values(["order", "grid", "label", "intervals"]).drop(columns="order")


class Solve(NamedTuple):
    """A solve of an exact flow, as it was recorded."""

    intervals: float
    error: float


def measured_order(runs: pd.DataFrame) -> float:
    """Order of convergence of solves with columns ``intervals`` and ``value``, their error."""
    runs = runs.sort_values("intervals")
    return order([Solve(*row) for row in zip(runs["intervals"], runs["value"], strict=True)])
