"""What real samples score: a band, and how far above it a model lies.

A floor is measured again and again, with other real samples against the very held-out blocks that
models meet. Its mean is the best that a model can be expected to reach, and its band is where a
perfect model would land.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from bench.evidence.statistics.intervals import LEVEL, SCALES, Interval, scale_of


@dataclass(frozen=True)
class Level:
    """A value that belongs to a data set.

    Attributes:
        value: mean over its draws, on the scale of the metric.
        low, high: band that holds 95% of the draws; NaN where nothing says how they scatter.
        draws: each of them.
    """

    value: float
    low: float
    high: float
    draws: tuple[float, ...]


def level(values: Iterable[float], errors: Iterable[float | None], metric: str) -> Level:
    """Draws of a metric, summarised.

    Of a single draw the band is that of its error of resampling, where it has one.

    Args:
        values: one a draw.
        errors: standard error of resampling of each; those that are missing are NaN.
        metric: of the values.
    """
    draws = np.asarray(list(values), dtype=float)
    to_scale, back, lowest, highest = SCALES[scale_of(metric)]
    inside = bool(((draws > lowest) & (draws < highest)).all())
    value = back(float(to_scale(draws).mean())) if inside else float(draws.mean())
    if len(draws) > 1:
        low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    else:
        error = next(iter(errors))
        half = math.nan if error is None else float(ndtri(0.5 + LEVEL / 2)) * float(error)
        low, high = max(value - half, lowest), min(value + half, highest)
    return Level(value, low, high, tuple(draws.tolist()))


def over_floor(values: Iterable[float], floor: Level) -> Interval:
    """How many times the floor the values of a model are: a ratio of geometric means.

    Welch's interval of two independent samples on the log scale (Welch, 1947): models and real
    samples meet the same held-out blocks, whose luck is common to both and no part of it.

    Args:
        values: of each seed; those that are not positive have no ratio.
        floor: of the data set.

    Returns:
        The ratio; without bounds where either side has one value, and NaN without any.
    """
    model, real = (_logs(side) for side in (values, floor.draws))
    if not len(model) or not len(real):
        return Interval(math.nan, math.nan, math.nan, 0, "log")
    ratio = float(model.mean() - real.mean())
    if len(model) < 2 or len(real) < 2:
        return Interval(math.exp(ratio), math.nan, math.nan, len(model), "log")
    parts = np.array([side.var(ddof=1) / len(side) for side in (model, real)])
    freedom = np.array([len(model) - 1, len(real) - 1])
    squared = float(parts.sum())
    if squared == 0:
        return Interval(math.exp(ratio), math.exp(ratio), math.exp(ratio), len(model), "log")
    degrees = squared**2 / float((parts**2 / freedom).sum())
    half = float(stdtrit(degrees, 0.5 + LEVEL / 2)) * math.sqrt(squared)
    bounds = math.exp(ratio - half), math.exp(ratio + half)
    return Interval(math.exp(ratio), *bounds, len(model), "log")


def _logs(values: Iterable[float]) -> NDArray[np.float64]:
    x = np.asarray(list(values), dtype=float)
    return np.log(x[np.isfinite(x) & (x > 0)])
