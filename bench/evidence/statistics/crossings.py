"""Evaluations needed for a quality: whole numbers, known between two that were swept.

A seed's curve that misses a target at 4 evaluations and meets it at 8 needs 5, 6, 7 or 8: that is
all the sweep says, and all that is said. Nothing is interpolated and nothing extrapolated, so
another list of evaluations gives wider or narrower bounds on the same number, never another one. A
curve that does not meet the target is bounded from below alone.

Over seeds the median stands, between the medians of both bounds, with its interval of order
statistics: ranks are known even where values are not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.evidence.statistics.intervals import order_statistics, student_t

TARGET_FACTORS = (1.1, 1.5)


def quality_targets(
    chosen: pd.DataFrame, factors: Sequence[float] = TARGET_FACTORS
) -> dict[float, float]:
    """Common targets of one data set: factors times the lowest seed-mean at the largest NFE.

    The seed-mean is geometric; the lowest is taken over the formulations that were swept at the
    data set's largest NFE with the most seeds, so that none is held to its own plateau and no lucky
    survivor sets the target. Every formulation
    meets the same number, so its error moves all crossings together: it is not in their intervals.

    Args:
        chosen: rows of one data set from
            :func:`bench.evidence.statistics.selection.select_samplers`.
    """
    scored = chosen[chosen["value"] > 0]
    if scored.empty:
        return {}
    largest = scored[scored["nfe"] == scored["nfe"].max()]
    means = [student_t(rows["value"], "log") for _, rows in largest.groupby("label", sort=True)]
    whole = max(mean.n for mean in means)
    best = min(mean.estimate for mean in means if mean.n == whole)
    return {factor: factor * best for factor in factors}


@dataclass(frozen=True)
class Crossing:
    """Whole number of evaluations at which a target is first met: ``least <= N <= most``.

    Attributes:
        least: one more than the largest swept number before it, and never below 1.
        most: the first swept number that meets the target; infinite where none does.
    """

    least: int
    most: float


def nfe_to_quality(nfe: Sequence[float], value: Sequence[float], target: float) -> Crossing:
    """Bounds of the first NFE at which ``value`` is at most ``target``; lower is better.

    The first swept number that meets it counts, also where the curve rises again later. Numbers
    without a finite value are as if they had not been swept.

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
    first = int(met[0]) if len(met) else len(x)
    least = 1 if first == 0 else math.floor(x[first - 1]) + 1
    return Crossing(least, float(x[first]) if first < len(x) else math.inf)


@dataclass(frozen=True)
class CrossingSummary:
    """Crossings over seeds.

    Attributes:
        least, most: bounds of the median over seeds; ``most`` is infinite where half of the seeds
            or more do not reach the target.
        low, high: order-statistic interval of the median, see
            :func:`~bench.evidence.statistics.intervals.order_statistics`: the lower bound of its
            lower rank and the upper one of its upper rank. NaN from a single seed.
        coverage: chance that it covers the median: the least, whatever the law of the crossings.
        reached: seeds that reach the target.
        n: seeds with a curve.
        limit: largest NFE swept, beyond which the seeds lie that do not reach the target.
    """

    least: float
    most: float
    low: float
    high: float
    coverage: float
    reached: int
    n: int
    limit: float


def summarise_crossings(curves: pd.DataFrame, target: float) -> CrossingSummary:
    """Crossings of one formulation: ``curves`` has the columns train_seed, nfe and value."""
    crossings = [
        nfe_to_quality(rows["nfe"].tolist(), rows["value"].tolist(), target)
        for _, rows in curves.dropna(subset="value").groupby("train_seed")
    ]
    n = len(crossings)
    least, most = sorted(c.least for c in crossings), sorted(c.most for c in crossings)
    k, coverage = order_statistics(n)
    # Of an even number of seeds the two in the middle bound the median.
    return CrossingSummary(
        least=least[(n - 1) // 2] if n else math.nan,
        most=most[n // 2] if n else math.nan,
        low=least[k - 1] if n > 1 else math.nan,
        high=most[n - k] if n > 1 else math.nan,
        coverage=coverage,
        reached=sum(math.isfinite(c.most) for c in crossings),
        n=n,
        limit=float(curves["nfe"].max()),
    )
