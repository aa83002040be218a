"""Multistep consistency sampling: EDM's levels, and noise added along any path."""

from __future__ import annotations

import pytest
import torch

from bench.formulations.grammar import path
from bench.models.path_model import PathModel
from bench.sampling.sample import Request, sample
from bench.sampling.solvers import consistency
from bench.sampling.solvers.catalogue import SOLVERS
from bench.sampling.solvers.karras import karras_levels
from bench.sampling.solvers.schedule import Point, Schedule

LARGEST = {"edm": 80.0, "trigonometric": float("inf")}


class Zero(torch.nn.Module):
    """Answers zero and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[torch.Tensor] = []

    def forward(
        self, x: torch.Tensor, condition: torch.Tensor, label: torch.Tensor | None
    ) -> torch.Tensor:
        self.asked.append(condition)
        return torch.zeros_like(x)


@pytest.mark.parametrize(("name", "prediction"), [("edm", "consistency"), ("trigonometric", "v")])
def test_it_evaluates_at_the_levels_of_edm(name: str, prediction: str) -> None:
    network = Zero()
    model = PathModel(network, path(name).build(), prediction, 0.5)
    noise = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    sample(model, noise, Request(SOLVERS["consistency"], 4), 6, lambda i, part: noise[part])
    # The condition is log_snr/4, so the level is its exponential at -2.
    levels = [float((-2 * asked[0]).exp()) for asked in network.asked]
    expected = karras_levels(0.002, 80.0, 4)[:-1].tolist()
    expected[0] = min(LARGEST[name], float(torch.tensor(7.5).exp()))
    assert levels == pytest.approx(expected, rel=1e-4)


def along(alpha: list[float], sigma: list[float]) -> Schedule:
    """A schedule of given coefficients; no path is asked."""
    times = [i / (len(alpha) - 1) for i in range(len(alpha))]
    points = (Point(*row) for row in zip(times, alpha, sigma, strict=True))
    return Schedule(path("linear").build(), tuple(points))


def test_noise_is_added_up_to_that_of_the_path() -> None:
    states: list[torch.Tensor] = []

    def function(x: torch.Tensor, point: Point) -> torch.Tensor:
        states.append(x)
        return torch.full_like(x, 0.5)

    start, z = torch.ones(1, 2), torch.full((1, 2), 2.0)
    consistency.solve(function, start, along([0.0, 0.6, 1.0], [1.0, 0.8, 0.0]), lambda i: z)
    assert torch.equal(states[0], start)
    assert torch.allclose(states[1], torch.full((1, 2), 0.6 * 0.5 + 0.8 * 2.0))
    states.clear()
    consistency.solve(function, start, along([1.0, 1.0, 1.0], [80.0, 2.0, 0.002]), lambda i: z)
    assert torch.allclose(states[1], torch.full((1, 2), 0.5 + 2 * (2.0**2 - 0.002**2) ** 0.5))


def test_the_state_it_returns_is_the_last_estimate() -> None:
    zero = torch.zeros(1, 2)
    schedule = along([0, 0.5, 1], [1, 0.5, 0])
    end = consistency.solve(lambda x, point: x + point.t, zero, schedule, lambda i: zero)
    assert torch.equal(end, torch.full((1, 2), 0.5))
