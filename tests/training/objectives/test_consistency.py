"""Neighbours of a noise level, by both schedules."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from bench.formulations.grammar import path
from bench.training.objectives.consistency import Consistency, near_ratio, rising_levels
from bench.training.time_sampling.lognormal import Lognormal
from bench.training.weightings.inverse_gap import InverseGap

LEVELS = torch.tensor([0.0021, 0.01, 0.3, 1.0, 7.0, 79.0])


def objective(**options: object) -> Consistency:
    built: Consistency = Consistency(Lognormal(), InverseGap(), "pair", **options)
    return built


def test_the_doubling_schedule_is_that_of_improved_consistency_training() -> None:
    # N(k) - 1 with s0 = 10 and s1 = 1280: eight stages of equal length.
    schedule = objective(first_levels=10, last_levels=1280)
    expected = [10, 20, 40, 80, 160, 320, 640, 1280]
    assert [schedule.intervals((stage + 0.5) / 8) for stage in range(8)] == expected
    assert schedule.intervals(1.0) == 1280


def test_a_drawn_level_falls_between_two_of_the_grid() -> None:
    edm = path("edm").build()
    near, far = objective().neighbours(LEVELS, edm, 0.5)
    grid = rising_levels(edm, objective().intervals(0.5))
    assert (near < LEVELS).all()
    assert (far >= LEVELS).all()
    lower = torch.searchsorted(grid, near)
    assert torch.equal(grid[lower + 1], far)


@pytest.mark.parametrize("level", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("halvings", [1, 3, 8])
def test_the_ratio_is_the_one_published(level: float, halvings: int) -> None:
    n = 1 + 8 / (1 + math.exp(level))
    got = float(near_ratio(torch.tensor(level, dtype=torch.float64), halvings))
    assert got == pytest.approx(1 - n / 2**halvings)


def test_the_continuous_schedule_starts_at_the_data_and_draws_nearer() -> None:
    edm, schedule = path("edm").build(), objective(schedule="continuous", halvings=8)
    near, far = schedule.neighbours(LEVELS, edm, 0.0)
    assert torch.equal(far, LEVELS)
    # n(s) > 2 below s = 1.95: the neighbour is the data, up to the smallest noise.
    assert torch.equal(near[:4], torch.full((4,), 0.002))
    assert torch.allclose(near[5], LEVELS[5] / 2, rtol=1e-3)
    gaps = [far - schedule.neighbours(LEVELS, edm, k / 8)[0] for k in range(8)]
    for wider, nearer in itertools.pairwise(gaps):
        assert (nearer <= wider).all()
    assert (gaps[-1] > 0).all()
    assert torch.allclose(gaps[-1][-1], LEVELS[-1] / 2**8, rtol=1e-3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"first_levels": 1}, "first_levels"),
        ({"first_levels": 20, "last_levels": 10}, "first_levels"),
        ({"halvings": 0}, "halvings"),
    ],
)
def test_a_wrong_option_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        objective(**wrong)
