"""The t test against scipy's own, and Holm's adjustment by hand and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bench.evidence.statistics.comparisons import holm, tail

DRAWS = 1000

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


@pytest.mark.parametrize("d", [[], [0.3]])
def test_one_value_has_no_spread_to_judge_by(d: list[float]) -> None:
    assert math.isnan(tail(d, 0.0))


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
