"""Evaluations needed for a quality: crossings of a common target, censored, never extrapolated.

A seed's curve meets the target inside the sweep (an exact crossing), beyond its largest NFE (only a
lower bound is known) or already at its smallest (only an upper bound). Where every crossing is
exact, the interval is Student's on the log scale. A mean over censored values would need a law for
what was not seen, so there the median stands, with its order-statistic interval: ranks are known
even where values are not. A bound of that interval may itself be censored, and is then printed as
one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import bdtr

from bench.evidence.statistics.intervals import LEVEL, Interval, student_t

TARGET_FACTORS = (1.1, 1.5)

Bound = Literal["=", ">", "<="]


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
    """Evaluations at which a target is met: exact, or censored.

    ``bound`` is ``=`` for a crossing inside the sweep, ``>`` where the largest swept NFE does not
    meet the target, ``<=`` where the smallest one, above 1, already does.
    """

    nfe: float
    bound: Bound


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
        interval: geometric mean and interval where every seed crosses inside the sweep, else None.
        low, high: order-statistic interval of the median, see :func:`order_statistics`. ``high`` is
            infinite where the sweep does not bound it; ``low`` is infinite where no seed reaches
            the target.
        coverage: chance that it covers the median: the least, whatever the law of the crossings.
        reached: seeds that reach the target.
        n: seeds with a curve.
        limit: largest NFE swept, the bound of the censored seeds.
        early: the smallest NFE swept, where it is above 1 and some seed reaches the target there
            already, else 0: figures up to it are upper bounds.
    """

    median: float
    interval: Interval | None
    low: float
    high: float
    coverage: float
    reached: int
    n: int
    limit: float
    early: float = 0.0


def order_statistics(n: int, level: float = LEVEL) -> tuple[int, float]:
    """Rank k of the interval ``[x_(k), x_(n + 1 - k)]`` for the median, and its coverage.

    For any continuous law the coverage is ``1 - 2 P(B < k)``, B binomial(n, 1/2). The largest k
    that covers ``level`` is taken; below six values none does, and the whole range is what can be
    said: 75% for three seeds, 93.75% for five.
    """
    coverage = [1 - 2 * float(bdtr(k - 1, n, 0.5)) for k in range(1, n // 2 + 1)]
    enough = [k for k, covered in enumerate(coverage, 1) if covered >= level]
    k = max(enough, default=1)
    return k, coverage[k - 1] if coverage else 0.0


def summarise_crossings(curves: pd.DataFrame, target: float) -> CrossingSummary:
    """Crossings of one formulation: ``curves`` has the columns train_seed, nfe and value."""
    crossings = [
        nfe_to_quality(rows["nfe"].tolist(), rows["value"].tolist(), target)
        for _, rows in curves.dropna(subset="value").groupby("train_seed")
    ]
    reached = [c.nfe for c in crossings if c.bound != ">"]
    early = max((c.nfe for c in crossings if c.bound == "<="), default=0.0)
    n = len(crossings)
    ranked = sorted(reached) + [math.inf] * (n - len(reached))
    middle = ranked[(n - 1) // 2 : n // 2 + 1]
    exact = bool(crossings) and all(c.bound == "=" for c in crossings)
    k, coverage = order_statistics(n)
    return CrossingSummary(
        median=sum(middle) / len(middle) if middle else math.nan,
        interval=student_t(reached, "log") if exact else None,
        low=ranked[k - 1] if n > 1 else math.nan,
        high=ranked[n - k] if n > 1 else math.nan,
        coverage=coverage,
        reached=len(reached),
        n=n,
        limit=float(curves["nfe"].max()),
        early=early,
    )
