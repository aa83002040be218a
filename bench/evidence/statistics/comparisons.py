"""The test under every comparison within the seed, many tests at once, and all pairs of labels.

Seeds share data order and noise between formulations (common random numbers), so the sample is the
n paired differences d_s of one metric, mostly of its log, and every test is Student's with n - 1
degrees of freedom on their mean. What is made of it, a difference or an equality, stands in
:mod:`bench.evidence.claims.rules`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr

from bench.evidence.statistics.intervals import Interval, paired_ratio

LEVEL_OF_PAIRS = 0.05
"""A pair is told apart where its adjusted p-value is at most this."""

MARGIN = 1.1
"""Ratio within which two log metrics count as equal, either way."""


def tail(d: ArrayLike, bound: float, resolution: float = 0.0) -> float:
    """P-value of the one-sided t test that the mean of ``d [n]`` is above ``bound``.

    NaN with fewer than two values. Values that are rounded, as whole numbers of evaluations are,
    can be all the same and have no spread to judge by, though what was rounded had one:
    ``resolution`` is the standard deviation of the rounding, and its square is added to the
    variance (Sheppard 1898, with the sign that is safe). Without it, values that are all the same
    are judged by the sign test, ``2^-n``.
    """
    x = np.asarray(d, dtype=float)
    if len(x) < 2:
        return math.nan
    gap = float(x.mean()) - bound
    error = math.hypot(float(x.std(ddof=1)), resolution) / math.sqrt(len(x))
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


@dataclass(frozen=True)
class Pair:
    """Two labels, compared seed by seed.

    Attributes:
        labels: the one with the lower mean first.
        ratio: geometric mean of the first over the second, with its own 95% interval.
        p: two-sided p-value of the paired t test; NaN with fewer than two seeds.
        adjusted: the same after Holm's method over all pairs that were compared together.
    """

    labels: tuple[str, str]
    ratio: Interval
    p: float
    adjusted: float

    @property
    def apart(self) -> bool:
        """Whether these seeds tell the two apart. That they do not is never equality."""
        return self.adjusted <= LEVEL_OF_PAIRS


def all_pairs(values: Mapping[str, Mapping[int, float]]) -> list[Pair]:
    """Paired ratios of every pair of labels, as one family.

    Args:
        values: of each label and seed; what is not positive has no ratio and is left out.
    """
    positive = {
        label: {seed: value for seed, value in by_seed.items() if value > 0}
        for label, by_seed in values.items()
    }
    pairs = []
    for first_label, second_label in combinations(positive, 2):
        ratio = paired_ratio(positive[first_label], positive[second_label])
        if ratio.n == 0:
            continue
        labels = (first_label, second_label) if ratio.estimate <= 1 else (second_label, first_label)
        first, second = positive[labels[0]], positive[labels[1]]
        logs = [math.log(second[seed] / first[seed]) for seed in sorted(first.keys() & second)]
        p = min(1.0, 2 * tail(logs, 0.0)) if len(logs) > 1 else math.nan
        pairs.append((labels, paired_ratio(first, second), p))
    adjusted = holm([p for _, _, p in pairs])
    return [Pair(*pair, p) for pair, p in zip(pairs, adjusted, strict=True)]
