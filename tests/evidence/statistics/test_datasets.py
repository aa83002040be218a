"""Summaries over data sets against rliable's and Demsar's definitions, worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bench.evidence.statistics.datasets import (
    critical_difference,
    interquartile_mean,
    probability_of_improvement,
    ranks,
    studentized_range,
)
from bench.evidence.statistics.intervals import LEVEL


def test_the_middle_half_is_averaged_over_runs_and_data_sets_together() -> None:
    scores = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 1000.0]])
    assert interquartile_mean(scores) == pytest.approx((3 + 4 + 5 + 6) / 4)
    assert interquartile_mean(scores.T) == interquartile_mean(scores)


def test_probability_of_improvement_counts_pairs_within_a_data_set() -> None:
    one = np.array([[1.0, 100.0], [2.0, 100.0]])
    other = np.array([[1.0, 200.0], [3.0, 50.0], [3.0, 100.0]])
    # First: 1 ties with 1 and beats two; 2 beats two. Second: each beats one, ties one, loses one.
    expected = ((0.5 + 2 + 2) / 6 + (1 + 0.5) * 2 / 6) / 2
    assert probability_of_improvement(one, other) == pytest.approx(expected)
    assert probability_of_improvement(other, one) == pytest.approx(1 - expected)


def test_probability_of_improvement_is_the_statistic_of_mann_and_whitney() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(5, 3)), rng.normal(0.5, 1, size=(7, 3))
    above = [stats.mannwhitneyu(other[:, k], one[:, k]).statistic / 35 for k in range(3)]
    assert probability_of_improvement(one, other) == pytest.approx(np.mean(above))


def test_ranks_are_averaged_and_ties_shared() -> None:
    scores = np.array([[1.0, 2.0, 3.0], [2.0, 1.0, 3.0], [1.0, 1.0, 5.0]])
    found = ranks(scores)
    assert found.mean == pytest.approx([4.5 / 3, 4.5 / 3, 3.0])
    assert found.datasets == 3


def test_ranks_and_middle_half_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        scores = rng.integers(0, 6, size=(rng.integers(1, 6), rng.integers(2, 9))).astype(float)
        assert np.array_equal(ranks(scores).mean, stats.rankdata(scores, axis=1).mean(axis=0))
        assert interquartile_mean(scores) == stats.trim_mean(scores, 0.25, axis=None)


@pytest.mark.parametrize(("formulations", "q"), [(2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)])
def test_the_critical_difference_is_that_of_the_published_table(
    formulations: int, q: float
) -> None:
    """Demsar 2006, table 5(a)."""
    expected = q * math.sqrt(formulations * (formulations + 1) / (6 * 14))
    assert critical_difference(formulations, 14) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("groups", range(2, 24))
def test_the_stored_quantiles_are_those_of_the_distribution(groups: int) -> None:
    expected = stats.studentized_range.ppf(LEVEL, groups, np.inf)
    assert studentized_range(groups) == pytest.approx(expected, rel=1e-9)


def test_another_level_is_not_read_off_the_stored_quantiles() -> None:
    expected = stats.studentized_range.ppf(0.9, 3, np.inf)
    assert studentized_range(3, 0.9) == pytest.approx(expected, rel=1e-9)
