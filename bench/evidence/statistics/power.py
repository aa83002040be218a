"""How many seeds and samples a difference of given size needs, in a paired comparison.

The log ratio of two formulations is measured on n training seeds, paired within the seed, with a
standard deviation over seeds of sqrt(r^2 + s^2 / N): retraining and resampling error of
:mod:`bench.evidence.statistics.components`. The t statistic of a true log ratio d then follows the
noncentral t distribution with n - 1 degrees of freedom and noncentrality sqrt(n) d / deviation
(Cohen, Statistical Power Analysis, 1988, chapter 2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.optimize import brentq
from scipy.special import ncfdtr, stdtrit

from bench.evidence.statistics.components import Spread

POWER = 0.8
SIZE = 0.05

MOST_SEEDS = 1000
"""More are never planned."""

CERTAIN = 100.0
"""Noncentrality beyond which a 5% test misses less than once in 1e14, even with two seeds."""

RESAMPLING_SHARE = 0.1
"""Share of the retraining variance below which resampling variance is not worth more samples: the
deviation over seeds is then within 5% of what endless sampling would give."""


def power(ratio: float, deviation: float, seeds: int, size: float = SIZE) -> float:
    """Chance that the two-sided paired t test of ``size`` sees a true ``ratio``.

    Args:
        ratio: of two formulations; as easy to see as its inverse.
        deviation: standard deviation of the paired log ratio over seeds, above 0.
        seeds: training seeds, at least 2.
    """
    return _power(abs(math.log(ratio)) / deviation * math.sqrt(seeds), seeds - 1, size)


def _power(noncentrality: float, degrees: int, size: float) -> float:
    """Both tails at once: the square of t is noncentral F with 1 and ``degrees``."""
    if noncentrality > CERTAIN:
        return 1.0
    critical = float(stdtrit(degrees, 1 - size / 2))
    missed = float(ncfdtr(1, degrees, noncentrality**2, critical**2))
    return 1.0 if math.isnan(missed) else 1 - missed  # NaN: too far out, below the least number


def seeds_needed(ratio: float, deviation: float, chance: float = POWER) -> int | None:
    """Fewest seeds with which a true ``ratio`` is seen with probability ``chance``.

    At least 2; None where more than :data:`MOST_SEEDS` would be needed, as for a ratio of 1.
    """
    if deviation == 0 and ratio != 1:
        return 2
    if ratio == 1 or power(ratio, deviation, MOST_SEEDS) < chance:
        return None
    few, enough = 1, 2
    while power(ratio, deviation, enough) < chance:
        few, enough = enough, min(2 * enough, MOST_SEEDS)
    while enough - few > 1:
        middle = (few + enough) // 2
        if power(ratio, deviation, middle) < chance:
            few = middle
        else:
            enough = middle
    return enough


def smallest_ratio(deviation: float, seeds: int, chance: float = POWER) -> float:
    """Smallest ratio above 1 that ``seeds`` seeds see with probability ``chance``.

    Infinite with a single seed.
    """
    if seeds < 2:
        return math.inf
    highest = 1.0
    while _power(highest, seeds - 1, SIZE) < chance:
        highest *= 2
    needed = brentq(lambda shift: _power(shift, seeds - 1, SIZE) - chance, 0.0, highest)
    return math.exp(float(needed) * deviation / math.sqrt(seeds))


def samples_enough(spread: Spread) -> float:
    """Samples a seed beyond which more samples do not help, only more seeds do.

    There the resampling variance is :data:`RESAMPLING_SHARE` of the retraining variance. Infinite
    where no retraining variance was found.
    """
    allowed = RESAMPLING_SHARE * spread.retraining**2
    return spread.per_sample / allowed if allowed > 0 else math.inf


@dataclass(frozen=True)
class Requirement:
    """What it takes to see a ratio.

    Attributes:
        seeds: seeds at the present number of samples; None beyond :data:`MOST_SEEDS`.
        seeds_at_least: seeds that no number of samples can lower.
        samples_enough: see :func:`samples_enough`.
        smallest: smallest ratio that the present seeds and samples see.
    """

    seeds: int | None
    seeds_at_least: int | None
    samples_enough: float
    smallest: float


def requirement(spread: Spread, ratio: float, seeds: int, samples: int) -> Requirement:
    """What it takes to see ``ratio``, from the spread of a paired log ratio."""
    deviation = spread.total(samples)
    return Requirement(
        seeds=seeds_needed(ratio, deviation),
        seeds_at_least=seeds_needed(ratio, spread.retraining),
        samples_enough=samples_enough(spread),
        smallest=smallest_ratio(deviation, seeds),
    )
