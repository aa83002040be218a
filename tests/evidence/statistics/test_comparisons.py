"""The t test against scipy's own, and Holm's adjustment by hand and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bench.evidence.statistics import student_t
from bench.evidence.statistics.comparisons import all_pairs, holm, tail

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


def test_all_pairs_are_one_family_told_the_better_one_first() -> None:
    rng = np.random.default_rng(2)
    values = {
        name: {seed: float(level * np.exp(0.05 * rng.standard_normal())) for seed in range(5)}
        for name, level in {"a": 1.0, "b": 2.0, "c": 2.02, "d": 5.0}.items()
    }
    pairs = all_pairs(values)
    assert len(pairs) == 6
    told = {frozenset(pair.labels): pair for pair in pairs}
    pair = told[frozenset("ab")]
    logs = [math.log(values["a"][s] / values["b"][s]) for s in range(5)]
    assert pair.labels == ("a", "b")
    assert pair.p == pytest.approx(stats.ttest_1samp(logs, 0).pvalue)
    assert pair.ratio.estimate == pytest.approx(student_t(np.exp(logs), "log").estimate)
    assert pair.adjusted == holm([p.p for p in pairs])[pairs.index(pair)]
    assert pair.adjusted > pair.p
    assert pair.apart
    assert not told[frozenset("bc")].apart


def test_pairs_without_a_ratio_are_left_out_or_untested() -> None:
    lone = all_pairs({"a": {0: 1.0}, "b": {0: 2.0, 1: 3.0}, "c": {5: 1.0}, "d": {0: -1.0}})
    assert [pair.labels for pair in lone] == [("a", "b")]
    assert math.isnan(lone[0].p)
    assert not lone[0].apart


@pytest.mark.parametrize("labels", [3, 6])
def test_equal_labels_are_told_apart_in_one_of_twenty_families(labels: int) -> None:
    rng = np.random.default_rng(labels)
    false = 0
    for _ in range(400):
        draws = np.exp(0.1 * rng.standard_normal((labels, 5)))
        values = {str(i): dict(enumerate(row)) for i, row in enumerate(draws)}
        false += any(pair.apart for pair in all_pairs(values))
    assert false / 400 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)
