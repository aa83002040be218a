"""The rules of the verdicts, against their definitions and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bench.evidence.claims.rules import (
    NotTestedError,
    censored_difference,
    difference,
    equality,
    jointly,
)
from bench.evidence.statistics import student_t
from bench.evidence.statistics.comparisons import MARGIN as RATIO
from bench.evidence.statistics.comparisons import tail

MARGIN = math.log(RATIO)

RNG = np.random.default_rng(11)
SAMPLES = [RNG.normal(0.3 * i, 0.5, size=3 + i % 5).tolist() for i in range(-6, 7)]


@pytest.mark.parametrize("d", SAMPLES)
def test_the_tail_is_that_of_scipys_t_test(d: list[float]) -> None:
    expected = stats.ttest_1samp(d, 0.1, alternative="greater").pvalue
    assert tail(d, 0.1) == pytest.approx(expected, rel=1e-9)


def test_equal_replicates_are_judged_by_their_signs() -> None:
    """Seeds that all meet a target at the end of the sweep are no certainty."""
    for count in (2, 5):
        assert (
            tail([1.0] * count, 0.5) == stats.binomtest(count, count, alternative="greater").pvalue
        )
    assert tail([1.0, 1.0], 1.5) == 1.0
    assert tail([1.0, 1.0], 1.0) == 0.5


@pytest.mark.parametrize("d", SAMPLES)
def test_a_difference_is_clear_where_the_95_percent_interval_excludes_1(d: list[float]) -> None:
    test = difference(d, "less")
    inside = student_t(np.exp(d), "log")
    assert (test.estimate, test.low, test.high) == (inside.estimate, inside.low, inside.high)
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


@pytest.mark.parametrize("n", [3, 5])
def test_equality_is_wrongly_claimed_at_the_margin_in_5_percent(n: int) -> None:
    """The size of the test where the truth is exactly 10% apart."""
    d = np.random.default_rng(3).normal(MARGIN, 0.01, size=(1000, n))
    claimed = [
        (test := equality(row.tolist(), 0.0, MARGIN, "log")).p <= 0.05
        and test.answer == "supported"
        for row in d
    ]
    assert 0.03 < np.mean(claimed) < 0.07


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
