"""Evaluations needed for a quality: interpolation, censoring, and what the intervals cover."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench.evidence.statistics import nfe_to_quality, quality_targets, summarise_crossings
from bench.evidence.statistics.crossings import order_statistics
from bench.report.numbers import crossing


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


def test_interpolation_is_exact_on_a_power_law() -> None:
    nfe = [1, 2, 4, 8]
    found = nfe_to_quality(nfe, [100 / n**2 for n in nfe], 100 / 9)
    assert (found.nfe, found.bound) == (pytest.approx(3.0), "=")


@pytest.mark.parametrize(
    ("nfe", "value", "expected"),
    [
        ([1, 2, 64], [9, 8, 7], (64, ">")),
        ([1, 2], [3, 1], (1, "=")),
        ([4, 8], [3, 1], (4, "<=")),
        ([8, 4, 2], [3, 5, 9], (4, "=")),
        ([2, 4, 8, 16], [9, 5, 9, 1], (4, "=")),
        ([1, 2, 4], [9, math.nan, 5], (4, "=")),
    ],
    ids=["censored", "met-at-one", "met-at-once", "unsorted", "first-crossing", "gap"],
)
def test_crossings(nfe: list[int], value: list[float], expected: tuple[float, str]) -> None:
    found = nfe_to_quality(nfe, value, target=5.0)
    assert (found.nfe, found.bound) == (pytest.approx(expected[0]), expected[1])


def test_a_curve_without_values_has_no_crossing() -> None:
    with pytest.raises(ValueError, match="no swept NFE"):
        nfe_to_quality([1, 2], [math.nan, math.nan], 1.0)


def test_censored_seeds_are_counted_never_extrapolated() -> None:
    crossing_at_2, never = [4.0, 1.0, 0.5], [9.0, 8.0, 7.0]
    columns = {1: 0, 2: 1, 64: 2}

    def summary(*seeds: list[float]) -> Any:
        points = {nfe: [seed[i] for seed in seeds] for nfe, i in columns.items()}
        return summarise_crossings(curve("a", points), 1.0)

    whole = summary(crossing_at_2, crossing_at_2)
    assert whole.interval.estimate == pytest.approx(2.0)
    most = summary(crossing_at_2, crossing_at_2, never)
    assert (most.interval, most.reached, most.n) == (None, 2, 3)
    assert most.median == pytest.approx(2.0)
    few = summary(crossing_at_2, never, never)
    assert math.isinf(few.median)
    assert few.limit == 64


def seeds_that_cross_at(crossings: list[float], largest: float = 64.0) -> pd.DataFrame:
    """Curves ``nfe_of_crossing / nfe``, which fall to 1 at a crossing, swept from 2 on."""
    grid = [2.0, 8.0, largest]
    return pd.DataFrame(
        {"train_seed": seed, "nfe": nfe, "value": at / nfe}
        for seed, at in enumerate(crossings)
        for nfe in grid
    )


def test_a_partly_censored_set_has_the_interval_of_its_median() -> None:
    found = summarise_crossings(seeds_that_cross_at([4.0, 6.0, 10.0, 20.0, 900.0]), 1.0)
    assert found.interval is None
    assert (found.median, found.low) == (pytest.approx(10.0), pytest.approx(4.0))
    assert math.isinf(found.high)
    assert found.coverage == pytest.approx(0.9375)
    assert crossing(found, 5) == "10.0 [4.00, > 64] (4/5 reach it)"


def test_a_set_that_is_met_at_once_is_an_upper_bound_and_has_no_mean() -> None:
    """The smallest NFE swept is 2: seeds that would cross before it are not counted as crossing."""
    found = summarise_crossings(seeds_that_cross_at([0.1, 0.5, 1.0, 5.0, 6.0]), 1.0)
    assert found.interval is None
    assert crossing(found, 5) == "≤ 2.00 [≤ 2.00, 6.00] (5/5 reach it)"


def test_a_target_that_no_seed_reaches_has_a_bound_alone() -> None:
    found = summarise_crossings(seeds_that_cross_at([100.0, 200.0, 300.0]), 1.0)
    assert crossing(found, 3) == "> 64 (0/3 reach it)"


@pytest.mark.parametrize(
    ("n", "rank", "coverage"),
    [(1, 1, 0.0), (3, 1, 0.75), (5, 1, 0.9375), (6, 1, 0.96875), (10, 2, 0.978515625)],
)
def test_ranks_of_the_median_are_those_of_the_sign_test(n: int, rank: int, coverage: float) -> None:
    """As tabulated, such as in Conover, Practical Nonparametric Statistics, table A3."""
    assert order_statistics(n) == (rank, pytest.approx(coverage))


@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_interval_of_the_median_covers_it_under_censoring(n: int) -> None:
    """Lognormal crossings around 8 NFE, censored at 12: a quarter of them is never seen."""
    draws = np.random.default_rng(n).lognormal(math.log(8.0), 0.6, size=(150, n))
    found = [summarise_crossings(seeds_that_cross_at(list(row), 12.0), 1.0) for row in draws]
    covered = np.mean([s.low <= 8.0 <= s.high for s in found])
    stated = order_statistics(n)[1]
    assert covered == pytest.approx(stated, abs=3 * math.sqrt(stated * (1 - stated) / 150))
    assert any(s.reached < s.n for s in found)
