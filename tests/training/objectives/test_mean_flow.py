"""Mean flow: its identity holds for the exact average velocity, and its loss is as published."""

from __future__ import annotations

import pytest
import torch

from bench.formulations.grammar import path
from bench.models.meter import counted
from bench.models.path_model import TIME_SPREAD
from bench.registry import discover
from bench.streams import Draws
from bench.training.couplings import Pair
from bench.training.objectives._derivative import along
from bench.training.objectives.mean_flow import MeanFlow
from bench.training.time_sampling.uniform import Uniform
from bench.training.weightings.unit import Unit
from tests.training.objectives import gaussian

SIZE = 64


@pytest.mark.parametrize("name", discover("paths"))
def test_the_identity_holds_for_the_exact_average_velocity(name: str) -> None:
    used = gaussian.average_velocity_model(path(name).build())
    generator = torch.Generator().manual_seed(0)
    start, end = used.path.interval
    u = torch.rand(SIZE, generator=generator, dtype=torch.float64)
    t = start + (end - start) * (0.01 + 0.9 * u)
    ahead = (end - t) * torch.rand(SIZE, generator=generator, dtype=torch.float64)
    x = torch.randn(SIZE, 2, generator=generator, dtype=torch.float64)
    x = x * gaussian.scale(used.path, t)[:, None]
    v = gaussian.velocity(used.path, x, t)
    with counted():
        average, slope = along(used, x, t, v, ahead)
    assert torch.allclose(average, v + ahead[:, None] * slope, rtol=1e-8, atol=1e-9)


def pair() -> Pair:
    generator = torch.Generator().manual_seed(3)
    noise, data = torch.randn(2, SIZE, 2, generator=generator, dtype=torch.float64)
    return Pair(noise, gaussian.SD * data)


def loss(**options: float) -> torch.Tensor:
    used = gaussian.average_velocity_model(path("linear").build())
    objective = MeanFlow(Uniform(), Unit(), **options)
    with counted():
        return objective(used, pair(), Draws(0, 0, SIZE, torch.device("cpu")), 0.0)


def test_without_intervals_it_is_flow_matching() -> None:
    used, drawn = pair(), Draws(0, 0, SIZE, torch.device("cpu"))
    t = torch.minimum(drawn("time"), drawn("end")).double()
    x = t[:, None] * used.data + (1 - t[:, None]) * used.noise
    exact = gaussian.velocity(path("linear").build(), x, t)
    expected = (exact - (used.data - used.noise)).square().sum(1)
    assert torch.allclose(loss(instantaneous=1.0, power=0.0), expected, rtol=1e-4)


@pytest.mark.parametrize("instantaneous", [0.0, 0.5, 1.0])
def test_the_loss_vanishes_where_pairs_move_as_the_flow_does(instantaneous: float) -> None:
    used = gaussian.average_velocity_model(path("linear").build())
    draws = Draws(0, 0, SIZE, torch.device("cpu"))
    t = torch.minimum(draws("time"), draws("end")).double()[:, None]
    w = torch.randn(SIZE, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    # Data and noise at their means given x_t: the pair's velocity is that of the flow.
    means = Pair((1 - t) * w, t * gaussian.SD**2 * w)
    with counted():
        loss = MeanFlow(Uniform(), Unit(), instantaneous)(used, means, draws, 0.0)
    assert loss.max() < 1e-8


def test_the_adaptive_weight_divides_by_a_power_of_the_squared_error() -> None:
    squared = loss(power=0.0)
    assert torch.allclose(loss(power=1.0), squared / (squared + 1e-3))
    assert torch.allclose(loss(power=0.5), squared / (squared + 1e-3).sqrt())


def test_the_share_of_empty_intervals_is_exact() -> None:
    used = gaussian.average_velocity_model(path("linear").build())
    seen: list[torch.Tensor] = []
    used.network.register_forward_hook(lambda module, given, output: seen.append(given[1]))
    with counted():
        MeanFlow(Uniform(), Unit())(used, pair(), Draws(0, 5, SIZE, torch.device("cpu")), 0.0)
    ahead = seen[0][:, 1] / TIME_SPREAD + 0.5
    assert int((ahead.abs() < 1e-6).sum()) == 0.75 * SIZE


@pytest.mark.parametrize("wrong", [{"instantaneous": 1.5}, {"power": -1.0}])
def test_a_wrong_option_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MeanFlow(Uniform(), Unit(), **wrong)
