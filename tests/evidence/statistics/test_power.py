"""Seeds and samples that a difference needs: against tables, scipy and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bench.evidence.claims.rules import ALPHA, difference
from bench.evidence.statistics.components import Spread
from bench.evidence.statistics.power import (
    MOST_SEEDS,
    power,
    requirement,
    samples_enough,
    seeds_needed,
    smallest_ratio,
)


@pytest.mark.parametrize(("effect", "seeds"), [(0.5, 34), (0.8, 15), (1.0, 10), (2.0, 5)])
def test_seeds_are_those_of_the_tables_of_the_paired_t_test(effect: float, seeds: int) -> None:
    """Effects in standard deviations, power 0.8, level 0.05, two-sided (as G*Power has them)."""
    assert seeds_needed(math.exp(effect), deviation=1.0) == seeds


def test_power_is_the_noncentral_t_of_scipy() -> None:
    shift, critical = math.log(1.2) / 0.15 * math.sqrt(7), stats.t.ppf(0.975, 6)
    expected = stats.nct.sf(critical, 6, shift) + stats.nct.cdf(-critical, 6, shift)
    assert power(1.2, 0.15, 7) == pytest.approx(expected)
    assert power(1 / 1.2, 0.15, 7) == pytest.approx(expected)
    assert power(1.5, 1e-6, 1000) == 1.0


def test_power_is_how_often_the_comparison_finds_the_difference() -> None:
    draws = np.random.default_rng(0).normal(math.log(1.1), 0.08, size=(1000, 6))
    seen = np.mean([difference(row, "less").p < ALPHA for row in draws])
    expected = power(1.1, 0.08, 6)
    assert seen == pytest.approx(expected, abs=3 * math.sqrt(expected * (1 - expected) / 1000))


@pytest.mark.parametrize("seeds", [2, 3, 5, 40])
def test_the_smallest_ratio_needs_exactly_the_seeds_it_was_asked_for(seeds: int) -> None:
    smallest = smallest_ratio(0.1, seeds)
    assert power(smallest, 0.1, seeds) == pytest.approx(0.8)
    assert seeds_needed(smallest * 1.0001, 0.1) == seeds


def test_fewest_means_that_one_less_is_not_enough() -> None:
    needed = seeds_needed(1.05, 0.1)
    assert needed is not None
    assert power(1.05, 0.1, needed) >= 0.8 > power(1.05, 0.1, needed - 1)


def test_the_ends_of_the_range() -> None:
    assert seeds_needed(1.0, 0.1) is None
    assert seeds_needed(1.001, 0.1) is None
    assert power(1.001, 0.1, MOST_SEEDS) < 0.8
    assert seeds_needed(100.0, 0.01) == 2
    assert seeds_needed(1.1, 0.0) == 2
    assert math.isinf(smallest_ratio(0.1, 1))
    assert smallest_ratio(0.0, 5) == 1.0


def test_more_samples_help_until_retraining_is_all_that_is_left() -> None:
    spread = Spread(retraining=0.1, per_sample=10.0)
    enough = samples_enough(spread)
    assert enough == pytest.approx(10_000)
    assert spread.total(enough) < 1.05 * spread.retraining
    few, many, more = (requirement(spread, 1.1, 5, n).seeds for n in (200, int(enough), 10**9))
    floor = requirement(spread, 1.1, 5, 200).seeds_at_least
    assert few is not None
    assert many is not None
    assert few > many >= floor == more
    assert many - more <= 1
    assert math.isinf(samples_enough(Spread(retraining=0.0, per_sample=10.0)))
