"""Evaluations needed for a quality: bounds, censoring, and what the intervals cover."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from bench.evidence.statistics import Crossing, nfe_to_quality, quality_targets, summarise_crossings
from bench.evidence.statistics.intervals import order_statistics
from bench.report.numbers import crossing

LISTS = [
    [1, 2, 4, 8, 16, 32, 64],
    [2, 3, 6, 12, 24, 48],
    [4, 8, 64],
    list(range(1, 65)),
    [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64],
]
"""Lists of swept numbers of evaluations."""


def curve(label: str, points: dict[int, list[float]]) -> pd.DataFrame:
    rows = [
        {"label": label, "nfe": nfe, "train_seed": seed, "value": value}
        for nfe, values in points.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_targets_are_common_and_taken_at_the_largest_nfe() -> None:
    """The plateau of 'early', lower but at a smaller NFE, sets no target."""
    table = pd.concat(
        [
            curve("best", {4: [9.0, 9.0], 64: [2.0, 8.0]}),  # geometric mean 4
            curve("worse", {4: [7.0, 7.0], 64: [5.0, 5.0]}),
            curve("early", {4: [1.0, 1.0]}),
        ]
    )
    assert quality_targets(table) == pytest.approx({1.1: 4.4, 1.5: 6.0})
    assert quality_targets(table.iloc[:0]) == {}


def test_a_lone_survivor_sets_no_target() -> None:
    whole, survivor = curve("whole", {8: [4.0, 4.0]}), curve("survivor", {8: [1.0]})
    assert quality_targets(pd.concat([whole, survivor]))[1.5] == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("nfe", "value", "expected"),
    [
        ([1, 2, 64], [9, 8, 7], Crossing(65, math.inf)),
        ([1, 2], [3, 1], Crossing(1, 1)),
        ([4, 8], [3, 1], Crossing(1, 4)),
        ([8, 4, 2], [3, 5, 9], Crossing(3, 4)),
        ([2, 4, 8, 16], [9, 5, 9, 1], Crossing(3, 4)),
        ([1, 2, 4], [9, math.nan, 5], Crossing(2, 4)),
        ([3, 4], [9, 5], Crossing(4, 4)),
    ],
    ids=["censored", "at-one", "at-once", "unsorted", "first-crossing", "gap", "exact"],
)
def test_crossings(nfe: list[int], value: list[float], expected: Crossing) -> None:
    assert nfe_to_quality(nfe, value, target=5.0) == expected


def test_a_curve_without_values_has_no_crossing() -> None:
    with pytest.raises(ValueError, match="no swept NFE"):
        nfe_to_quality([1, 2], [math.nan, math.nan], 1.0)


@pytest.mark.parametrize("needed", [1, 2, 3, 5, 8, 9, 31, 64, 100])
@pytest.mark.parametrize("power", [0.5, 2.0])
def test_every_list_of_evaluations_bounds_the_same_number(needed: int, power: float) -> None:
    """A falling curve meets its target at a whole number, which no list may exclude."""
    for swept in LISTS:
        value = [(1 + n) ** -power for n in swept]
        found = nfe_to_quality(swept, value, (1 + needed) ** -power)
        assert 1 <= found.least <= needed <= found.most
        inside = [below for below, at in pairwise([0, *swept]) if below < needed <= at]
        assert found.least == (inside[0] if inside else swept[-1]) + 1


def seeds_that_need(needed: list[int], swept: list[int]) -> pd.DataFrame:
    """Curves ``needed / nfe``, which fall to 1 at a whole number of evaluations."""
    return pd.DataFrame(
        {"train_seed": seed, "nfe": nfe, "value": at / nfe}
        for seed, at in enumerate(needed)
        for nfe in swept
    )


def test_summaries_of_different_lists_agree() -> None:
    """The median is 5: every list bounds it, and the finest gives it."""
    needed = [2, 3, 5, 7, 40]
    found = [summarise_crossings(seeds_that_need(needed, swept), 1.0) for swept in LISTS]
    assert all(s.least <= 5 <= s.most for s in found)
    assert all(s.low <= 2 and s.high >= 40 for s in found)
    assert (found[3].least, found[3].most, found[3].low, found[3].high) == (5, 5, 2, 40)
    # An even number of seeds leaves the median between the two in the middle.
    even = summarise_crossings(seeds_that_need([2, 3, 7, 9], LISTS[3]), 1.0)
    assert (even.least, even.most) == (3, 7)


def test_censored_seeds_are_counted_never_extrapolated() -> None:
    swept = [1, 2, 64]
    most = summarise_crossings(seeds_that_need([2, 2, 900], swept), 1.0)
    assert (most.least, most.most, most.reached, most.n) == (2, 2, 2, 3)
    few = summarise_crossings(seeds_that_need([2, 900, 900], swept), 1.0)
    assert (few.least, few.most, few.limit) == (65, math.inf, 64)


@pytest.mark.parametrize(
    ("needed", "text"),
    [
        ([4, 6, 10, 20, 900], "9 to 64 [3, > 64] (4/5 reach it)"),
        ([1, 1, 1, 5, 6], "1 to 2 [1, 8]"),
        ([100, 200, 300], "> 64 (0/3 reach it)"),
        ([5, 6, 7], "3 to 8"),
    ],
    ids=["partly", "at-once", "never", "alike"],
)
def test_printed(needed: list[int], text: str) -> None:
    summary = summarise_crossings(seeds_that_need(needed, [2, 8, 64]), 1.0)
    assert crossing(summary, len(needed)) == text


@pytest.mark.parametrize(
    ("n", "rank", "coverage"),
    [(1, 1, 0.0), (3, 1, 0.75), (5, 1, 0.9375), (6, 1, 0.96875), (10, 2, 0.978515625)],
)
def test_ranks_of_the_median_are_those_of_the_sign_test(n: int, rank: int, coverage: float) -> None:
    """As tabulated, such as in Conover, Practical Nonparametric Statistics, table A3."""
    assert order_statistics(n) == (rank, pytest.approx(coverage))


@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_interval_of_the_median_covers_it_under_censoring(n: int) -> None:
    """Lognormal crossings around 9 NFE, censored at 12: a third of them is never seen."""
    draws = np.random.default_rng(n).lognormal(math.log(8.5), 0.6, size=(200, n))
    swept = list(range(1, 13))
    found = [
        summarise_crossings(seeds_that_need([math.ceil(x) for x in row], swept), 1.0)
        for row in draws
    ]
    covered = np.mean([s.low <= 9 <= s.high for s in found])
    stated = order_statistics(n)[1]
    assert covered >= stated - 3 * math.sqrt(stated * (1 - stated) / 200)
    assert any(s.reached < s.n for s in found)
