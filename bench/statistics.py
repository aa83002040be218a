"""Seeds to intervals, samplers chosen without looking, and evaluations needed for a quality.

Every function is pure: numbers or records in, numbers out. The unit of replication is the training
seed. Intervals are Student t; on the log scale for positive quantities (Frechet distance, W2,
seconds), where retraining acts as a factor, and on the linear scale where zero or negative values
occur (fractions, KID, straightness). A percentile bootstrap is not used: over 3, 5 or 10 seeds it
covers 75, 84 or 90% instead of 95%.

A value that is missing, not finite, or belongs to a failed cell is left out and the number of seeds
that remain is returned beside each figure, so that a table can mark it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from bench.cells import UNIFIED

Scale = Literal["log", "linear"]

LEVEL = 0.95
TARGET_FACTORS = (1.1, 1.5)

PANEL = ["experiment", "dataset"]
CANDIDATE = ["solver", "grid", "sampled_path"]

LOG_METRICS = (
    "fd_", "w2", "endpoint_rmse", "total_rmse", "field_", "seconds_per_sample", "budget.", "cost.",
)  # fmt: skip


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with its Student t interval.

    Attributes:
        estimate: arithmetic mean (``scale = "linear"``) or geometric mean (``scale = "log"``).
        low, high: bounds; NaN with fewer than two seeds.
        n: seeds that entered.
        scale: scale on which the mean and the interval were taken.
    """

    estimate: float
    low: float
    high: float
    n: int
    scale: Scale


def scale_of(metric: str) -> Scale:
    """Scale of a metric's intervals: ``log`` for the positive ones of :data:`LOG_METRICS`."""
    return "log" if metric.startswith(LOG_METRICS) else "linear"


def student_t(values: Iterable[float], scale: Scale, level: float = LEVEL) -> Interval:
    """Mean and Student t interval of ``values``, one a seed.

    ``mean +- t_{n-1} s / sqrt(n)`` on the given scale. Values that are not finite are left out.

    Raises:
        ValueError: a value that is not positive, on the log scale.
    """
    x = np.asarray(list(values), dtype=float)
    x = x[np.isfinite(x)]
    if scale == "log":
        if (x <= 0).any():
            raise ValueError("the log scale needs positive values")
        x = np.log(x)
    back = math.exp if scale == "log" else float
    n = len(x)
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, 0, scale)
    mean = float(x.mean())
    if n == 1:
        return Interval(back(mean), math.nan, math.nan, 1, scale)
    half = float(stats.t.ppf(0.5 + level / 2, n - 1) * x.std(ddof=1) / math.sqrt(n))
    return Interval(back(mean), back(mean - half), back(mean + half), n, scale)


def interval(values: Iterable[float], metric: str) -> Interval:
    """:func:`student_t` on the scale of ``metric``; linear where a value is not positive."""
    finite = [float(v) for v in values if math.isfinite(v)]
    scale = scale_of(metric)
    return student_t(finite, "linear" if min(finite, default=1.0) <= 0 else scale)


def paired_ratio(
    numerator: Mapping[int, float], denominator: Mapping[int, float], level: float = LEVEL
) -> Interval:
    """Geometric mean over seeds of ``numerator / denominator``, paired within a seed.

    The Student t interval of the paired differences of the logs, exponentiated; an effect is
    different from none where the interval excludes 1. Seeds that only one side has are left out.
    """
    seeds = sorted(set(numerator) & set(denominator))
    return student_t([numerator[s] / denominator[s] for s in seeds], "log", level)


# --- sampler selection ---------------------------------------------------------------------------


def exact_cells(records: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Sweep rows of one metric whose solver hit the requested NFE exactly, at a fixed cost.

    Adaptive solvers (``tolerance`` set), refused and failed cells, floors, exact fields, the
    unified view, comparisons with the training set and values that are not finite are left out.
    """
    rows = records[
        (records["metric"] == metric)
        & (records["status"] == "ok")
        & records["train_seed"].notna()
        & records["noise_bank"].notna()
        & records["tolerance"].isna()
        & (records["nfe"] == records["nfe_requested"]).fillna(False)
        & (records["reference_set"] != "train").fillna(True)
        & (records["grid"] != UNIFIED).fillna(True)
    ]
    rows = rows[[*PANEL, "label", "train_seed", "noise_bank", *CANDIDATE, "nfe_requested", "value"]]
    rows = rows[np.isfinite(rows["value"].to_numpy(dtype=float, na_value=np.nan))]
    return rows.fillna({"grid": "", "sampled_path": ""})


def _by_candidate(cells: pd.DataFrame, bank: str) -> pd.DataFrame:
    """Metric of one noise bank: a row a candidate (sorted), a column a seed."""
    rows = cells[(cells["noise_bank"] == bank) & (cells["value"] > 0)]
    rows = rows.astype({"value": float})
    return rows.pivot_table(index=CANDIDATE, columns="train_seed", values="value", sort=True)


def _lowest(table: pd.DataFrame) -> tuple[str, str, str] | None:
    """Candidate with the lowest mean log among those that have the most seeds."""
    counts = table.notna().sum(axis=1)
    if counts.empty or counts.max() == 0:
        return None
    means = np.log(table[counts == counts.max()]).mean(axis=1)
    solver, grid, path = means.index[int(means.to_numpy().argmin())]
    return solver, grid, path


def select_samplers(cells: pd.DataFrame) -> pd.DataFrame:
    """Leave-one-seed-out choice of the sampler, for each formulation and NFE.

    For a held-out seed the candidate (solver, grid, sampled path) with the lowest mean log metric
    over the *other* seeds in the noise bank ``selection`` is taken, and scored on the held-out seed
    in the bank ``scoring``: neither the seed nor the noise that scores has taken part in the
    choice. A candidate counts only where it has as many seeds as the best-covered one. With a
    single seed there is no other: its own selection bank decides (``basis = "own seed"``).

    Args:
        cells: rows of one metric from :func:`exact_cells`.

    Returns:
        One row for each (experiment, dataset, label, nfe, train_seed) with the chosen candidate,
        ``value`` (NaN where the choice has no scored cell on that seed) and ``basis``.
    """
    chosen = []
    for key, group in cells.groupby([*PANEL, "label", "nfe_requested"], sort=True):
        experiment, dataset, label, nfe = map(str, key)
        selection, scoring = (_by_candidate(group, bank) for bank in ("selection", "scoring"))
        for seed in sorted(set(group["train_seed"])):
            others = selection.drop(columns=seed, errors="ignore")
            own = others.shape[1] == 0
            pick = _lowest(selection if own else others)
            if pick is None:
                continue
            known = seed in scoring.columns and pick in scoring.index
            chosen.append(
                {
                    "experiment": experiment,
                    "dataset": dataset,
                    "label": label,
                    "nfe": int(nfe),
                    "train_seed": int(seed),
                    **dict(zip(CANDIDATE, pick, strict=True)),
                    "value": float(scoring.loc[pick, seed]) if known else math.nan,
                    "basis": "own seed" if own else "other seeds",
                }
            )
    columns = [*PANEL, "label", "nfe", "train_seed", *CANDIDATE, "value", "basis"]
    return pd.DataFrame(chosen, columns=columns)


def fixed_sampler(cells: pd.DataFrame, solver: str) -> pd.DataFrame:
    """The scoring-bank cells of one solver, in the shape of :func:`select_samplers`."""
    rows = cells[(cells["solver"] == solver) & (cells["noise_bank"] == "scoring")]
    rows = rows.assign(nfe=rows["nfe_requested"].astype(int), basis="common solver")
    columns = [*PANEL, "label", "nfe", "train_seed", *CANDIDATE, "value", "basis"]
    rows = rows[columns].sort_values([*PANEL, "label", "nfe", "train_seed"], ignore_index=True)
    return rows.astype({"value": float, "train_seed": int})


# --- evaluations needed for a quality ------------------------------------------------------------


def quality_targets(
    chosen: pd.DataFrame, factors: Sequence[float] = TARGET_FACTORS
) -> dict[float, float]:
    """Common targets of one data set: factors times the lowest seed-mean at the largest NFE.

    The seed-mean is geometric; the lowest is taken over the formulations that were swept at the
    data set's largest NFE, so that no formulation is held to its own plateau.

    Args:
        chosen: rows of one data set from :func:`select_samplers`.
    """
    scored = chosen[chosen["value"] > 0]
    if scored.empty:
        return {}
    largest = scored[scored["nfe"] == scored["nfe"].max()]
    best = min(
        student_t(rows["value"], "log").estimate for _, rows in largest.groupby("label", sort=True)
    )
    return {factor: factor * best for factor in factors}


@dataclass(frozen=True)
class Crossing:
    """Evaluations at which a target is met: exact, or censored.

    ``bound`` is ``=`` for a crossing inside the sweep, ``>`` where the largest swept NFE does not
    meet the target, ``<=`` where the smallest one, above 1, already does.
    """

    nfe: float
    bound: Literal["=", ">", "<="]


def nfe_to_quality(nfe: Sequence[float], value: Sequence[float], target: float) -> Crossing:
    """First NFE at which ``value`` falls to ``target``, by log-log interpolation.

    Interpolated between neighbouring swept NFEs, never extrapolated. Lower is better; the first
    crossing counts, also where the curve rises again later. A target met at one evaluation is an
    exact 1: fewer do not exist.

    Raises:
        ValueError: no value is finite.
    """
    x, y = np.asarray(nfe, dtype=float), np.asarray(value, dtype=float)
    keep = np.isfinite(y)
    order = np.argsort(x[keep])
    x, y = x[keep][order], y[keep][order]
    if not len(x):
        raise ValueError("no swept NFE has a value")
    met: NDArray[np.intp] = np.flatnonzero(y <= target)
    if not len(met):
        return Crossing(float(x[-1]), ">")
    i = int(met[0])
    if i == 0:
        return Crossing(float(x[0]), "=" if x[0] <= 1 else "<=")
    fraction = math.log(y[i - 1] / target) / math.log(y[i - 1] / y[i])
    return Crossing(float(x[i - 1] * (x[i] / x[i - 1]) ** fraction), "=")


@dataclass(frozen=True)
class CrossingSummary:
    """Crossings over seeds.

    Attributes:
        median: median over seeds, a censored one standing above every exact one; infinite where
            half of the seeds or more are censored.
        interval: geometric mean and interval where every seed crosses, else None.
        reached: seeds that reach the target.
        n: seeds with a curve.
        limit: largest NFE swept, the bound of the censored seeds.
    """

    median: float
    interval: Interval | None
    reached: int
    n: int
    limit: float


def summarise_crossings(curves: pd.DataFrame, target: float) -> CrossingSummary:
    """Crossings of one formulation: ``curves`` has the columns train_seed, nfe and value."""
    found = [
        nfe_to_quality(rows["nfe"].tolist(), rows["value"].tolist(), target)
        for _, rows in curves.dropna(subset="value").groupby("train_seed")
    ]
    reached = [c.nfe for c in found if c.bound != ">"]
    limit = float(curves["nfe"].max())
    ranked = sorted(reached) + [math.inf] * (len(found) - len(reached))
    middle = ranked[(len(ranked) - 1) // 2 : len(ranked) // 2 + 1]
    median = sum(middle) / len(middle) if middle else math.nan
    whole = student_t(reached, "log") if found and len(reached) == len(found) else None
    return CrossingSummary(median, whole, len(reached), len(found), limit)
