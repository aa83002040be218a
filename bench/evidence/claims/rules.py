"""What one comparison says: an effect, its interval, and how sure the records are of it.

Pure functions of numbers. ``d`` is one number a replicate, mostly the log of a ratio that was
paired within a training seed. Nothing here reads a record.

* :func:`difference`: the two-sided t test of a mean of none; p < 0.05 exactly where the 95%
  interval excludes none;
* :func:`equality`: two one-sided tests (Schuirmann 1987) of a mean beyond either margin; p < 0.05
  exactly where the 90% interval lies inside the margins. The margin is declared before the data are
  seen.

Neither test rejecting means inconclusive, never equal. Both may reject: a difference can be there
and yet be too small to matter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from bench.evidence.statistics import LEVEL, student_t
from bench.evidence.statistics.comparisons import tail
from bench.evidence.statistics.intervals import student_half

ALPHA = 0.05
EQUALITY_LEVEL = 0.90
"""Level of the interval that two one-sided tests at 5% compare with the margin."""


FEWEST = 2
"""Replicates without which there is no interval."""

Answer = Literal["supported", "refuted"]


class NotTestedError(Exception):
    """The records do not hold what a comparison needs; the message says what is missing."""


@dataclass(frozen=True)
class Test:
    """One comparison.

    Attributes:
        estimate, low, high: effect and interval in natural units; a bound that censoring leaves
            open is 0 or infinite, and the estimate is then NaN.
        level: of the interval: 95% for a difference, 90% for an equality.
        n: replicates.
        answer: what the records speak for.
        p: probability of records that speak for it as clearly, were the answer false.
    """

    __test__ = False  # not a test case of pytest

    estimate: float
    low: float
    high: float
    level: float
    n: int
    answer: Answer
    p: float


def difference(d: Sequence[float], claimed: Literal["less", "greater"]) -> Test:
    """Whether a ratio lies below (``less``) or above 1, from its logs, two-sided.

    Raises:
        NotTestedError: fewer than two replicates.
    """
    return censored_difference(d, d, claimed)


def censored_difference(
    lower: Sequence[float],
    upper: Sequence[float],
    claimed: Literal["less", "greater"],
    resolution: float = 0.0,
) -> Test:
    """:func:`difference` where each log ratio is only known to lie in ``lower .. upper``.

    A mean is below 1 where the mean of the upper bounds is, and above 1 where that of the lower
    ones is, so either direction is tested on the bounds that speak against it. Nothing is imputed:
    a single bound without an end leaves its direction untested, with p = 1.

    Args:
        lower, upper: bounds of the log ratio of each replicate.
        claimed: the direction of the claim.
        resolution: standard deviation of the rounding of a log ratio, see
            :func:`bench.evidence.statistics.comparisons.tail`.

    Raises:
        NotTestedError: fewer than two replicates.
    """
    low, high = np.asarray(lower, dtype=float), np.asarray(upper, dtype=float)
    n = len(low)
    _enough(n)
    above = tail(low.tolist(), 0, resolution) if np.isfinite(low).all() else 1.0
    below = tail((-high).tolist(), 0, resolution) if np.isfinite(high).all() else 1.0
    claimed_p, opposite_p = (below, above) if claimed == "less" else (above, below)
    exact = bool((low == high).all())
    least, most = _interval(low, resolution), _interval(high, resolution)
    return Test(
        estimate=least[0] if exact else math.nan,
        low=least[1],
        high=most[2],
        level=LEVEL,
        n=n,
        answer="supported" if claimed_p < opposite_p else "refuted",
        p=min(1.0, 2 * min(above, below)),
    )


def _interval(d: np.ndarray, resolution: float) -> tuple[float, float, float]:
    """Ratio and its 95% interval; open on both sides where a bound has no end."""
    if not np.isfinite(d).all():
        return math.nan, 0.0, math.inf
    mean = float(d.mean())
    half = student_half(d, LEVEL, resolution)
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


def equality(
    d: Sequence[float], centre: float, margin: float, scale: Literal["log", "linear"]
) -> Test:
    """Two one-sided tests that the mean of ``d`` lies within ``margin`` of ``centre``.

    Supported where the 90% interval lies inside the margin; refuted where the mean lies beyond it,
    on either side, at 5%. ``d``, ``centre`` and ``margin`` are logs for ``scale = "log"``.

    Raises:
        NotTestedError: fewer than two replicates.
        ValueError: a margin that leaves no room.
    """
    if not margin > 0:
        raise ValueError(f"a margin of {margin:g} leaves no room")
    _enough(len(d))
    mirrored = [-x for x in d]
    inside = max(tail(d, centre - margin), tail(mirrored, -centre - margin))
    outside = min(1.0, 2 * min(tail(d, centre + margin), tail(mirrored, -centre + margin)))
    values = np.exp(d) if scale == "log" else d
    interval = student_t(values, scale, EQUALITY_LEVEL)
    return Test(
        interval.estimate,
        interval.low,
        interval.high,
        EQUALITY_LEVEL,
        len(d),
        "supported" if inside <= outside else "refuted",
        min(inside, outside),
    )


def jointly(shown: Test, *other_tests: Test) -> Test:
    """A claim that says several things at once: supported where all are, by the least clear one.

    Refuted where all others are refuted while ``shown`` holds: what it speaks of is there, and not
    explained. An intersection-union test, which needs no correction of its own.
    """
    answers = {test.answer for test in other_tests}
    explained: Answer = "supported" if answers == {"supported"} else "refuted"
    p = max(test.p for test in (shown, *other_tests))
    if shown.answer == "refuted" or len(answers) > 1:
        p = 1.0
    return Test(shown.estimate, shown.low, shown.high, shown.level, shown.n, explained, p)


def opposite(test: Test) -> Test:
    """The same comparison, asked the other way round."""
    return replace(test, answer="refuted" if test.answer == "supported" else "supported")


def _enough(n: int) -> None:
    if n < FEWEST:
        count = "one replicate" if n == 1 else "no replicate"
        raise NotTestedError(f"{count} has both sides, and an interval needs {FEWEST}")
