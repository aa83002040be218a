"""Every grid: its ends are those of the interval, its times rise, and it is declared."""

from __future__ import annotations

import pytest
import torch

from bench.formulations.grammar import path as declare
from bench.registry import discover
from bench.sampling.solvers.catalogue import GRIDS as DECLARED
from bench.sampling.solvers.catalogue import SOLVERS
from bench.sampling.solvers.grids import GRIDS

COUNTS = (1, 2, 3, 16, 61)


def test_what_a_config_may_name_is_there() -> None:
    assert set(DECLARED) == set(GRIDS)
    assert {solver.grid for solver in SOLVERS.values()} - {"adaptive"} <= set(GRIDS)


@pytest.mark.parametrize("path", discover("paths"))
@pytest.mark.parametrize("name", GRIDS)
def test_times_rise_from_end_to_end(name: str, path: str) -> None:
    clock = declare(path).build()
    for count in COUNTS:
        times = GRIDS[name](clock, count)
        assert times.shape == (count + 1,)
        assert times.dtype == torch.float64
        assert (times[0].item(), times[-1].item()) == clock.interval
        assert (times.diff() > 0).all()


@pytest.mark.parametrize("path", discover("paths"))
@pytest.mark.parametrize("name", GRIDS)
def test_more_intervals_are_shorter_everywhere(name: str, path: str) -> None:
    """Between the first and the last interval, which may be as long as the path asks."""
    clock = declare(path).build()
    coarse, fine = (GRIDS[name](clock, count).diff()[1:-1].max() for count in (16, 64))
    assert fine < coarse / 2
