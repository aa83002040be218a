"""The rules of the verdicts, against their definitions and by simulation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy import stats

from bench.evidence.claims.contrasts import _logs
from bench.evidence.claims.rules import (
    ALPHA,
    NotTestedError,
    Test,
    censored_difference,
    difference,
    equality,
    jointly,
)
from bench.evidence.statistics import student_t
from bench.evidence.statistics.comparisons import MARGIN as RATIO

MARGIN = math.log(RATIO)
DRAWS = 1000

RNG = np.random.default_rng(11)
SAMPLES = [RNG.normal(0.3 * i, 0.5, size=3 + i % 5).tolist() for i in range(-6, 7)]


@pytest.mark.parametrize("d", SAMPLES)
def test_a_difference_is_clear_where_the_95_percent_interval_excludes_1(d: list[float]) -> None:
    test = difference(d, "less")
    inside = student_t(np.exp(d), "log")
    expected = (inside.estimate, inside.low, inside.high)
    assert (test.estimate, test.low, test.high) == pytest.approx(expected, rel=1e-12)
    assert (test.p <= 0.05) == (test.high < 1 or test.low > 1)
    assert test.answer == ("supported" if test.estimate < 1 else "refuted")
    assert difference(d, "greater").answer != test.answer


@pytest.mark.parametrize("d", [[0.01 * x for x in d] for d in SAMPLES] + SAMPLES)
def test_an_equality_holds_where_the_90_percent_interval_is_inside(d: list[float]) -> None:
    test = equality(d, 0.0, MARGIN, "log")
    inside = test.low > 1 / 1.1 and test.high < 1.1
    assert (test.p <= 0.05 and test.answer == "supported") == inside
    wide = student_t(np.exp(d), "log", 0.95)
    beyond = wide.low > 1.1 or wide.high < 1 / 1.1
    assert (test.p <= 0.05 and test.answer == "refuted") == beyond


def test_an_equality_around_another_centre() -> None:
    near, far = [0.98, 1.0, 1.01, 0.99], [0.70, 0.72, 0.69, 0.71]
    assert equality(near, 1.0, 0.05, "linear").answer == "supported"
    assert equality(far, 1.0, 0.05, "linear").answer == "refuted"
    assert equality(far, 1.0, 0.05, "linear").estimate == pytest.approx(np.mean(far))


def equal(test: Test) -> bool:
    """Whether a test of equality, taken alone, says equal."""
    return test.answer == "supported" and test.p <= ALPHA


def differs(test: Test) -> bool:
    """Whether a test of a difference, taken alone, says that there is one."""
    return test.p <= ALPHA


def within(d: Sequence[float]) -> Test:
    return equality(d, 0.0, MARGIN, "log")


def check_size(rejects: Callable[[list[float]], bool], effect: float, n: int) -> None:
    """At most 5% of 1,000 tests reject a true hypothesis, within three standard errors."""
    draws = np.random.default_rng(n).normal(effect, 0.04, size=(DRAWS, n))
    rate = np.mean([rejects(row.tolist()) for row in draws])
    assert rate <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / DRAWS)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_equality_is_found_at_the_margin_in_at_most_one_of_twenty(n: int) -> None:
    check_size(lambda d: equal(within(d)), MARGIN, n)
    check_size(lambda d: equal(within(d)), -MARGIN, n)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_equality_is_refuted_at_the_margin_in_at_most_one_of_twenty(n: int) -> None:
    check_size(lambda d: within(d).answer == "refuted" and within(d).p <= ALPHA, MARGIN, n)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_a_difference_is_found_where_there_is_none_in_one_of_twenty(n: int) -> None:
    check_size(lambda d: differs(difference(d, "less")), 0.0, n)
    check_size(lambda d: differs(difference(d, "greater")), 0.0, n)


def test_the_margin_is_used_up() -> None:
    """With little noise, 5% of the tests at the margin say equal: the bound is that of the test."""
    d = np.random.default_rng(3).normal(MARGIN, 0.01, size=(DRAWS, 5))
    assert 0.03 < np.mean([equal(within(row.tolist())) for row in d]) < 0.07


@pytest.mark.parametrize("factor", [1.0, 2.0, 0.5])
def test_p_values_are_those_of_the_paired_t_tests(factor: float) -> None:
    one, other = np.array([3.1, 2.9, 3.6, 3.3, 3.0]) * factor, np.array([2.9, 3.0, 3.2, 3.1, 2.9])
    logs = np.log(one / other).tolist()
    paired = stats.ttest_rel(np.log(one), np.log(other)).pvalue
    assert difference(logs, "less").p == pytest.approx(paired)

    def beyond(bound: float, side: str) -> float:
        return float(stats.ttest_1samp(logs, bound, alternative=side).pvalue)

    inside = max(beyond(-MARGIN, "greater"), beyond(MARGIN, "less"))
    outside = 2 * min(beyond(MARGIN, "greater"), beyond(-MARGIN, "less"))
    test = within(logs)
    assert test.p == pytest.approx(min(inside, outside))
    assert test.answer == ("supported" if inside < outside else "refuted")
    low, high = stats.t.interval(0.9, 4, loc=np.mean(logs), scale=stats.sem(logs))
    assert (test.low, test.high) == pytest.approx((math.exp(low), math.exp(high)))


def test_equality_and_difference_are_found_where_they_are() -> None:
    rng = np.random.default_rng(2)
    said = [
        (differs(difference(d, "less")), equal(within(d)))
        for mean, sd in ((0.0, 0.02), (0.5, 0.02), (0.05, 0.005), (0.05, 0.3))
        for d in [rng.normal(mean, sd, size=10).tolist()]
    ]
    assert said == [(False, True), (True, False), (True, True), (False, False)]


def test_pairing_removes_what_a_seed_shares() -> None:
    shared = {0: 1.0, 1: 5.0, 2: 30.0, 7: 4.0}
    doubled = {0: 2.0, 1: 10.1, 2: 59.4, 8: 1.0}
    logs = _logs(doubled, shared)
    assert len(logs) == 3
    test = difference(logs, "less")
    assert test.estimate == pytest.approx(2.0, rel=0.01)
    assert test.p < 1e-3


def test_seeds_that_agree_to_the_last_digit() -> None:
    sign = 0.5**3  # of three seeds on one side
    same, half = [0.0] * 3, [math.log(0.5)] * 3
    assert (difference(same, "less").p, within(same).p, within(same).answer) == (
        1.0,
        sign,
        "supported",
    )
    assert (difference(half, "less").p, difference(half, "less").answer) == (2 * sign, "supported")
    assert within(half).answer == "refuted"


@pytest.mark.parametrize("margin", [0.0, -0.1, math.nan])
def test_a_margin_without_room_is_refused(margin: float) -> None:
    with pytest.raises(ValueError, match="leaves no room"):
        equality([0.1, 0.2], 0.0, margin, "log")


def test_bounds_decide_only_what_they_bound() -> None:
    exact = [-1.0, -1.2, -0.9]
    plain, open_below = difference(exact, "less"), [-math.inf, -1.2, -0.9]
    censored = censored_difference(open_below, exact, "less")
    assert censored.answer == "supported"
    assert censored.p == pytest.approx(plain.p)
    assert math.isnan(censored.estimate)
    assert (censored.low, censored.high) == (0.0, plain.high)
    mirrored = censored_difference([1.0, 1.2, 0.9], [1.0, math.inf, 0.9], "less")
    assert mirrored.answer == "refuted"
    assert math.isinf(mirrored.high)
    unknown = censored_difference([-math.inf, 0.5, 0.6], [math.inf, 0.5, 0.6], "less")
    assert unknown.p == 1.0
    assert (unknown.low, unknown.high) == (0.0, math.inf)


def test_seeds_that_all_need_as_many_evaluations_are_settled() -> None:
    """Five seeds that need 4 against 6: a sign test could not settle it (p = 0.0625)."""
    d = [math.log(4 / 6)] * 5
    assert difference(d, "less").p == pytest.approx(0.0625)
    rounding = math.hypot(math.log(4 / 3), math.log(6 / 5)) / math.sqrt(12)
    settled = censored_difference(d, d, "less", rounding)
    assert settled.p < 0.01
    assert settled.estimate == pytest.approx(4 / 6)
    assert settled.low < settled.estimate < settled.high < 1
    # As many on both sides says nothing.
    assert censored_difference([0.0] * 5, [0.0] * 5, "less", rounding).p == 1.0


def test_bounds_that_overlap_do_not_settle() -> None:
    """Five to eight against seven to twelve: either may be the fewer."""
    lower, upper = [math.log(5 / 12)] * 5, [math.log(8 / 7)] * 5
    assert censored_difference(lower, upper, "less", 0.1).p > 0.05


@pytest.mark.parametrize("d", [[], [0.3]])
def test_one_replicate_is_not_a_test(d: list[float]) -> None:
    with pytest.raises(NotTestedError, match="interval needs 2"):
        difference(d, "less")
    with pytest.raises(NotTestedError, match="interval needs 2"):
        equality(d, 0.0, MARGIN, "log")


def test_a_joint_claim_is_as_clear_as_its_least_clear_part() -> None:
    differs = difference([0.4, 0.5, 0.45], "greater")
    same = equality([0.001, -0.001, 0.0], 0.0, MARGIN, "log")
    apart = equality([0.5, 0.52, 0.51], 0.0, MARGIN, "log")
    assert jointly(differs, same).answer == "supported"
    assert jointly(differs, same).p == max(differs.p, same.p)
    assert jointly(differs, apart).answer == "refuted"
    assert jointly(difference([0.4, 0.5, 0.45], "less"), same).p == 1.0
