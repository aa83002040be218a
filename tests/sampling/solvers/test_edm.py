"""EDM's samplers: Heun in its two forms, and churn that stays inside the path."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from bench.models.paths.edm import Edm
from bench.models.paths.linear import Linear
from bench.models.paths.vp import Vp
from bench.sampling.solvers import edm
from bench.sampling.solvers.grids import karras
from bench.sampling.solvers.schedule import Point, Schedule


def test_it_is_algorithm_1_of_the_paper() -> None:
    """Written out in the noise level on the path where it is the paper's own."""
    path = Edm()
    schedule = Schedule.of(path, karras(path, 6))
    levels = [point.sigma for point in schedule.points]
    y = start = torch.randn(4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for i, (s, after) in enumerate(pairwise(levels)):
        slope = (y - y.tanh()) / s
        ahead = y + (after - s) * slope
        if i < 5:
            ahead = y + (after - s) * (slope + (ahead - ahead.tanh()) / after) / 2
        y = ahead
    torch.testing.assert_close(edm.heun(lambda x, point: x.tanh(), start, schedule), y)


def test_from_pure_noise_it_is_the_trapezoidal_rule() -> None:
    values = iter((1.0, 3.0, 10.0))
    points = (Point(0.0, 0.0, 1.0), Point(0.25, 0.25, 0.75), Point(1.0, 1.0, 0.0))
    states: list[float] = []

    def denoiser(x: Tensor, point: Point) -> Tensor:
        states.append(float(x))
        return torch.full_like(x, next(values))

    end = edm.heun(denoiser, torch.full((1, 1), 2.0), Schedule(Linear(), points))
    assert states == [2.0, 0.75 * 2 + 0.25 * 1, 0.75 * 2 + 0.25 * (1 + 3) / 2]
    assert float(end) == 10.0


@pytest.mark.parametrize("path", [Edm(), Vp(), Linear()], ids=["edm", "vp", "linear"])
def test_churn_raises_the_level_where_the_paper_does(path: Edm | Vp | Linear) -> None:
    schedule = Schedule.of(path, karras(path, 12))
    asked: list[Point] = []

    def denoiser(x: Tensor, point: Point) -> Tensor:
        asked.append(point)
        return torch.zeros_like(x)

    edm.churn(denoiser, torch.zeros(1, 1), schedule, lambda i: torch.zeros(1, 1))
    highest = edm._level(schedule.points[0])
    factor = math.sqrt(2)  # 40/12 is more than the paper's cap
    for point, evaluated in zip(schedule.points[:-1], asked[::2], strict=True):
        level = edm._level(point)
        raised = level * factor if edm.S_TMIN <= level <= edm.S_TMAX else level
        assert edm._level(evaluated) == pytest.approx(min(raised, highest))
    assert any(point not in schedule.points for point in asked)


def test_churn_never_leaves_the_path() -> None:
    """A path that starts at a level which churn would raise."""
    path = Edm(sigma_max=10.0)
    schedule = Schedule.of(path, karras(path, 40))
    asked: list[Point] = []

    def denoiser(x: Tensor, point: Point) -> Tensor:
        asked.append(point)
        return torch.zeros_like(x)

    edm.churn(denoiser, torch.zeros(1, 1), schedule, lambda i: torch.zeros(1, 1))
    assert max(point.sigma for point in asked) == 10.0
    assert min(point.t for point in asked) == 0.0


def test_without_churn_it_is_algorithm_1() -> None:
    schedule = Schedule.of(Vp(), karras(Vp(), 7))
    start = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))

    def denoiser(x: Tensor, point: Point) -> Tensor:
        return x.tanh()

    still = edm.churn(denoiser, start, schedule, lambda i: torch.ones_like(start), s_churn=0.0)
    torch.testing.assert_close(still, edm.heun(denoiser, start, schedule))
