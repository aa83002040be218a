"""Paired tests against scipy's own, their size by simulation, and Holm's adjustment."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from bench.evidence.statistics.comparisons import Comparison, compare, holm

DRAWS = 1000


def by_seed(values: NDArray[np.float64] | list[float]) -> dict[int, float]:
    return {seed: float(value) for seed, value in enumerate(values)}


def of_ratios(log_ratios: NDArray[np.float64]) -> Comparison:
    return compare(by_seed(np.exp(log_ratios)), dict.fromkeys(range(len(log_ratios)), 1.0))


def test_p_values_are_those_of_the_paired_t_tests() -> None:
    one, other = np.array([3.1, 2.9, 3.6, 3.3, 3.0]), np.array([2.9, 3.0, 3.2, 3.1, 2.9])
    found = compare(by_seed(one), by_seed(other))
    logs, half = np.log(one / other), math.log(1.1)
    assert found.difference_p == pytest.approx(stats.ttest_1samp(logs, 0).pvalue)
    beyond = (
        stats.ttest_1samp(logs, -half, alternative="greater").pvalue,
        stats.ttest_1samp(logs, half, alternative="less").pvalue,
    )
    assert found.equality_p == pytest.approx(max(beyond))
    low, high = stats.t.interval(0.9, 4, loc=logs.mean(), scale=stats.sem(logs))
    assert (found.within.low, found.within.high) == pytest.approx((math.exp(low), math.exp(high)))


def test_p_values_and_intervals_tell_the_same() -> None:
    rng = np.random.default_rng(1)
    found = [of_ratios(rng.normal(0.05, 0.05, size=5)) for _ in range(300)]
    assert all(c.differs == (c.difference_p < 0.05) for c in found)
    assert all(c.equal == (c.equality_p < 0.05) for c in found)
    assert len({(c.differs, c.equal) for c in found}) >= 3


def check_size(rejects: Callable[[Comparison], bool], effect: float, n: int) -> None:
    """At most 5% of 1,000 tests reject a true hypothesis, within three standard errors."""
    draws = np.random.default_rng(n).normal(effect, 0.04, size=(DRAWS, n))
    rate = np.mean([rejects(of_ratios(row)) for row in draws])
    assert rate <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / DRAWS)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_equality_is_found_at_the_margin_in_at_most_one_of_twenty(n: int) -> None:
    check_size(lambda c: c.equal, math.log(1.1), n)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_a_difference_is_found_where_there_is_none_in_one_of_twenty(n: int) -> None:
    check_size(lambda c: c.differs, 0.0, n)


def test_equality_and_difference_are_found_where_they_are() -> None:
    rng = np.random.default_rng(2)
    equal, apart, both, neither = (
        of_ratios(rng.normal(mean, sd, size=10))
        for mean, sd in ((0.0, 0.02), (0.5, 0.02), (0.05, 0.005), (0.05, 0.3))
    )
    assert (equal.differs, equal.equal) == (False, True)
    assert (apart.differs, apart.equal) == (True, False)
    assert (both.differs, both.equal) == (True, True)
    assert (neither.differs, neither.equal) == (False, False)


def test_pairing_removes_what_a_seed_shares() -> None:
    shared = np.array([1.0, 5.0, 30.0])
    found = compare(by_seed(2 * shared * [1, 1.01, 0.99]), by_seed(shared))
    assert found.effect.estimate == pytest.approx(2.0, rel=0.01)
    assert found.difference_p < 1e-3


def test_the_linear_scale_takes_differences_and_an_absolute_margin() -> None:
    found = compare(by_seed([-0.1, 0.0, 0.1]), by_seed([-0.1, 0.0, 0.11]), "linear", margin=0.05)
    assert found.effect.estimate == pytest.approx(-0.01 / 3)
    assert (found.equal, found.differs) == (True, False)


def test_what_cannot_be_tested_is_not_decided() -> None:
    single = compare({0: 1.0, 1: math.nan}, {0: 2.0, 1: 2.0, 2: 3.0})
    assert single.n == 1
    assert math.isnan(single.difference_p)
    assert math.isnan(single.equality_p)
    assert (single.differs, single.equal) == (False, False)


def test_seeds_that_agree_to_the_last_digit() -> None:
    same, half = (compare(dict.fromkeys(range(3), x), dict.fromkeys(range(3), 4.0)) for x in (4, 2))
    sign = 0.5**3  # of three seeds on one side
    assert (same.difference_p, same.equality_p, same.equal) == (1.0, sign, True)
    assert (half.difference_p, half.equality_p, half.differs) == (2 * sign, 1.0, True)


@pytest.mark.parametrize(("scale", "margin"), [("log", 1.0), ("linear", 0.0)])
def test_a_margin_without_room_is_refused(scale: str, margin: float) -> None:
    with pytest.raises(ValueError, match="leaves no room"):
        compare({}, {}, "log" if scale == "log" else "linear", margin)


def test_holm_by_hand() -> None:
    found = holm([0.01, 0.04, 0.03, 0.005, math.nan])
    assert found == pytest.approx([0.03, 0.06, 0.06, 0.02, math.nan], nan_ok=True)
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_keeps_the_rate_of_any_false_rejection() -> None:
    """Six true hypotheses: 26% of families have one below 0.05, at most 5% after adjustment."""
    draws = np.random.default_rng(3).uniform(size=(DRAWS, 6))
    assert (draws.min(axis=1) < 0.05).mean() == pytest.approx(1 - 0.95**6, abs=0.04)
    rejected = [min(holm(row.tolist())) < 0.05 for row in draws]
    assert np.mean(rejected) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / DRAWS)
