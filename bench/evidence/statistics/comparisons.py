"""Two formulations compared within the seed: tests of a difference, of equality, of many at once.

Seeds share data order and noise between formulations (common random numbers), so the sample is the
n paired differences d_s of one metric, and every test here is Student's with n - 1 degrees of
freedom on their mean:

* difference: the two-sided test of a mean of none; p < 0.05 exactly where the 95% interval
  excludes none;
* equality: two one-sided tests (Schuirmann 1987) of a mean beyond either margin; p < 0.05 exactly
  where the 90% interval lies inside the margins. The margin is declared before the data are seen.

Neither test rejecting means inconclusive, never equal. Both may reject: a difference can be there
and yet be too small to matter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr

from bench.evidence.statistics.intervals import Interval, Scale, student_t

MARGIN = 1.1
"""Ratio within which two log metrics count as equal, either way."""

SIZE = 0.05
"""Rate at which either test rejects what is true."""


@dataclass(frozen=True)
class Comparison:
    """A paired comparison, without a verdict.

    Attributes:
        effect: mean difference (``scale = "linear"``) or geometric mean ratio (``"log"``) with its
            95% interval; ``effect.n`` seeds have both sides.
        within: the same mean with its 90% interval, the one that tests equality.
        margin: half width of equality: a difference, or on the log scale a ratio above 1.
        difference_p: p-value of no difference; NaN with fewer than two seeds.
        equality_p: larger p-value of the two one-sided tests; NaN with fewer than two seeds.
    """

    effect: Interval
    within: Interval
    margin: float
    difference_p: float
    equality_p: float

    @property
    def n(self) -> int:
        """Seeds that have both sides."""
        return self.effect.n

    @property
    def differs(self) -> bool:
        """Whether the 95% interval excludes none."""
        none = 1.0 if self.effect.scale == "log" else 0.0
        return self.effect.low > none or self.effect.high < none

    @property
    def equal(self) -> bool:
        """Whether the 90% interval lies inside the margins."""
        least = 1 / self.margin if self.effect.scale == "log" else -self.margin
        return self.within.low > least and self.within.high < self.margin


def compare(
    one: Mapping[int, float],
    other: Mapping[int, float],
    scale: Scale = "log",
    margin: float = MARGIN,
) -> Comparison:
    """Compare ``one`` with ``other``, each a value by training seed, paired within the seed.

    The effect is ``one / other`` on the log scale and ``one - other`` on the linear one. Seeds that
    only one side has, or where a value is not finite, are left out.

    Raises:
        ValueError: a margin that leaves no room, or on the log scale a value that is not positive.
    """
    if not margin > (1 if scale == "log" else 0):
        raise ValueError(f"a margin of {margin:g} on the {scale} scale leaves no room")
    seeds = sorted(set(one) & set(other))
    pairs = np.array([(one[s], other[s]) for s in seeds], dtype=float).reshape(-1, 2)
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    if scale == "log" and (pairs <= 0).any():
        raise ValueError("the log scale needs positive values")
    effects = pairs[:, 0] / pairs[:, 1] if scale == "log" else pairs[:, 0] - pairs[:, 1]
    differences = np.log(effects) if scale == "log" else effects
    half = math.log(margin) if scale == "log" else margin
    return Comparison(
        effect=student_t(effects, scale),
        within=student_t(effects, scale, 1 - 2 * SIZE),
        margin=margin,
        difference_p=2 * min(tail(differences, 0.0), tail(-differences, 0.0)),
        equality_p=max(tail(differences, -half), tail(-differences, -half)),
    )


def tail(d: ArrayLike, bound: float) -> float:
    """P-value of the one-sided t test that the mean of ``d [n]`` is above ``bound``.

    NaN with fewer than two values. Values that are all the same (an NFE that every seed meets at
    the end of the sweep) have no spread to judge by: theirs is the sign test, ``2^-n``.
    """
    x = np.asarray(d, dtype=float)
    if len(x) < 2:
        return math.nan
    gap, error = float(x.mean()) - bound, float(x.std(ddof=1)) / math.sqrt(len(x))
    if error == 0:
        return 0.5 ** len(x) if gap > 0 else 0.5 if gap == 0 else 1.0
    return float(stdtr(len(x) - 1, -gap / error))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment: ``p_(i) * (m - i + 1)``, made monotone and cut at 1.

    Rejecting where the adjusted value is below 0.05 keeps the chance of any false rejection in the
    family at 5%, whatever the dependence between its tests (Holm 1979). A family is what is read
    together as one answer: the parts and data sets of a claim, or all pairs of formulations on one
    data set. Values that are NaN are no tests: they stay, and do not count.
    """
    order = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    adjusted, largest = [math.nan] * len(p_values), 0.0
    for done, (p, place) in enumerate(order):
        largest = max(largest, min(1.0, p * (len(order) - done)))
        adjusted[place] = largest
    return adjusted
