"""What real samples score: a band, how far above it a model lies, and whether it lies there at all.

A floor is measured again and again, with other real samples against the very held-out blocks that
models meet. Its mean is the best that a model can be expected to reach, and its band is where a
perfect model would land.

*At the floor* is a cell that cannot be told from exact or real samples. Its values, one a seed or
block, are compared with values that such samples score in as many samples. If the cell's samples
were exact too, all of them would be exchangeable, so that the sum of the cell's ranks among all
follows a law that is counted, ties included (Wilcoxon, 1945; Mann and Whitney, Annals of
Mathematical Statistics 18, 1947). No form of the distribution is assumed: discrepancies near zero
are skewed. What is asked is that of 100 cells of exact samples at least 95 are at the floor. A test
at 5% gives that in every other hundred only; the test here has the level 2%, with which a hundred
has more than five cells that are not with a probability of 1.5% (binomial). A floor is drawn once
for many cells: with few values its own luck is shared by all of them, so draw some hundreds where
the law is known.

Values are exchangeable where they stem from different samples and met the same references: the law
itself, or each block of real samples as often on both sides.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from bench.evidence.statistics.intervals import LEVEL as INTERVAL_LEVEL
from bench.evidence.statistics.intervals import SCALES, Interval, scale_of
from bench.metrics.declared import Direction

LEVEL = 0.02
"""Of the test: exact samples are at the floor with a probability of at least 0.98."""

COUNTED = 1_000
"""Product of both numbers of values up to which ranks are counted; beyond it their sum is taken as
normal, which errs towards the floor for a few values beside many."""


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


def level(values: Iterable[float], errors: Iterable[float], metric: str) -> Level:
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
        low, high = np.quantile(
            draws, [(1 - INTERVAL_LEVEL) / 2, (1 + INTERVAL_LEVEL) / 2]
        ).tolist()
    else:
        half = float(ndtri(0.5 + INTERVAL_LEVEL / 2)) * next(iter(errors))
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
    half = float(stdtrit(degrees, 0.5 + INTERVAL_LEVEL / 2)) * math.sqrt(squared)
    bounds = math.exp(ratio - half), math.exp(ratio + half)
    return Interval(math.exp(ratio), *bounds, len(model), "log")


def _logs(values: Iterable[float]) -> NDArray[np.float64]:
    x = np.asarray(list(values), dtype=float)
    return np.log(x[np.isfinite(x) & (x > 0)])


@dataclass(frozen=True)
class FloorTest:
    """Whether a cell is at the floor.

    Attributes:
        p: probability that samples as good as those of the floor score as far out, or farther.
        at_floor: whether that is more than the level.
        values, floor: numbers of values that were compared.
    """

    p: float
    at_floor: bool
    values: int
    floor: int


def at_floor(
    values: Sequence[float],
    floor: Sequence[float],
    direction: Direction,
    level: float = LEVEL,
) -> FloorTest:
    """Whether a cell cannot be told from exact or real samples.

    Args:
        values: of the cell, one a seed or block.
        floor: of exact or real samples, each in as many samples as a value of the cell.
        direction: of the metric: with ``lower`` only values above the floor are worse, with
            ``higher`` those below; None looks at both sides.
        level: of the test.

    Raises:
        ValueError: a value that is not finite, or so few that no cell could be told from anything.
    """
    seen, exact = np.asarray(values, dtype=float), np.asarray(floor, dtype=float)
    if not (np.isfinite(seen).all() and np.isfinite(exact).all()):
        raise ValueError("values of a cell and of the floor are finite")
    sides = 2 if direction is None else 1
    if len(seen) == 0 or sides / math.comb(len(seen) + len(exact), len(seen)) > level:
        raise ValueError(
            f"{len(seen)} values and {len(exact)} of the floor tell nothing apart at {level:g}; "
            f"{least_floor_values(len(seen), direction, level)} of the floor would"
        )
    above, below = _tail(seen, exact), _tail(-seen, -exact)
    p = {"lower": above, "higher": below, None: min(1.0, 2 * min(above, below))}[direction]
    return FloorTest(p, p > level, len(seen), len(exact))


def at_floor_by_all(tests: Sequence[FloorTest], level: float = LEVEL) -> bool:
    """Whether a cell is at the floor by every one of several metrics.

    Each has an equal part of the level (Bonferroni): exact samples pass with a probability of at
    least ``1 - level`` together, however the metrics depend on each other.
    """
    return all(test.p > level / len(tests) for test in tests)


def least_floor_values(values: int, direction: Direction, level: float = LEVEL) -> int:
    """Fewest values of a floor with which some cell of ``values`` values is not at it."""
    sides, needed = 2 if direction is None else 1, 1
    if values < 1:
        return needed
    while sides / math.comb(values + needed, values) > level:
        needed += 1
    return needed


def _tail(seen: np.ndarray, exact: np.ndarray) -> float:
    """Probability that as many of all values have ranks of a sum as high as ``seen`` has."""
    if len(seen) * len(exact) > COUNTED:
        from scipy import stats  # takes longer to import than a report needs for all its tests

        return float(
            stats.mannwhitneyu(seen, exact, alternative="greater", method="asymptotic").pvalue
        )
    # Doubled ranks are whole numbers, also where values are equal.
    doubled = _doubled_ranks(np.concatenate([seen, exact]))
    observed = int(doubled[: len(seen)].sum())
    highest = int(np.sort(doubled)[-len(seen) :].sum())
    # ways[j, s]: probability that j of the ranks looked at so far are chosen and have the sum s.
    ways = np.zeros((len(seen) + 1, highest + 1))
    ways[0, 0] = 1.0
    for place, rank in enumerate(doubled):
        left = len(doubled) - place
        chosen = np.clip((len(seen) - np.arange(len(seen) + 1)) / left, 0.0, 1.0)[:, None]
        taken = ways * chosen
        ways = ways - taken
        ways[1:, rank:] += taken[:-1, : highest + 1 - rank]
    return min(1.0, float(ways[len(seen), observed:].sum()))


def _doubled_ranks(values: np.ndarray) -> NDArray[np.int64]:
    """Twice the rank of each value, from 1; equal values share the mean of their ranks."""
    ordered = np.sort(values)
    lowest = np.searchsorted(ordered, values, side="left")
    highest = np.searchsorted(ordered, values, side="right")
    return (lowest + highest + 1).astype(np.int64)
