"""Shortcut models: two leaps make one, and every update costs the same."""

from __future__ import annotations

import pytest
import torch

from bench.formulations.grammar import path
from bench.models.meter import counted
from bench.models.path_model import TIME_SPREAD, PathModel
from bench.registry import discover
from bench.streams import Draws
from bench.training.couplings import Pair
from bench.training.objectives.shortcut import Shortcut
from bench.training.time_sampling.uniform import Uniform
from bench.training.weightings.unit import Unit
from tests.training.objectives import gaussian

SIZE = 64
LEAPING = SIZE // 4


def objective() -> Shortcut:
    return Shortcut(Uniform(), Unit())


@pytest.mark.parametrize("name", discover("paths"))
def test_two_leaps_of_the_exact_flow_are_its_leap_of_twice_the_length(name: str) -> None:
    used = gaussian.average_velocity_model(path(name).build())
    start, end = used.path.interval
    quarter = torch.full((8,), (end - start) / 4, dtype=torch.float64)
    t = start + quarter
    x = torch.randn(8, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with counted():
        leap = objective().two_leaps(used, x, t, quarter)
        once = used.output(x, used.path.coefficients(t), 2 * quarter)
    assert torch.allclose(leap, once, rtol=1e-9)


def told(used: PathModel, update: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Time and interval ahead of each evaluation in one update."""
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def spy(module: torch.nn.Module, given: tuple[torch.Tensor, ...], output: object) -> None:
        t, ahead = (given[1] / TIME_SPREAD + 0.5).unbind(1)
        seen.append((t, ahead))

    hook = used.network.register_forward_hook(spy)
    noise, data = torch.randn(2, SIZE, 2, generator=torch.Generator().manual_seed(3)).double()
    with counted():
        objective()(used, Pair(noise, data), Draws(0, update, SIZE, torch.device("cpu")), 0.0)
    hook.remove()
    return seen


def test_a_quarter_leaps_along_the_grid_of_its_length_and_the_rest_does_not() -> None:
    used = gaussian.average_velocity_model(path("linear").build())
    lengths = set()
    for update in range(20):
        (t_half, half), (t_middle, again), (t, ahead) = told(used, update)
        assert len(t_half) == LEAPING
        assert torch.allclose(half, again)
        assert torch.allclose(t_half, t[:LEAPING])
        assert ahead[LEAPING:].abs().max() < 1e-6
        leap = ahead[:LEAPING]
        assert torch.allclose(t_middle, t_half + leap / 2, atol=1e-6)
        # The shortest leaps, of 1/128, are taken with the velocity.
        shortest = leap < 1.5 / 64
        assert torch.allclose(half, torch.where(shortest, 0.0, leap / 2), atol=1e-6)
        steps = t[:LEAPING] / leap
        assert torch.allclose(steps, steps.round(), atol=1e-3)
        assert (t[:LEAPING] + leap).max() < 1 + 1e-5
        lengths |= {round(float(1 / length)) for length in leap}
    assert lengths == {1, 2, 4, 8, 16, 32, 64}


def test_the_loss_of_leaps_vanishes_for_the_exact_flow() -> None:
    used = gaussian.average_velocity_model(path("linear").build())
    noise, data = torch.randn(2, SIZE, 2, generator=torch.Generator().manual_seed(3)).double()
    with counted():
        loss = objective()(
            used, Pair(noise, gaussian.SD * data), Draws(0, 0, SIZE, torch.device("cpu")), 0.0
        )
    # Up to the shortest leap, whose two Euler intervals are not exact.
    assert loss[:LEAPING].max() < 1e-3
    assert loss[LEAPING:].mean() > 0.1


@pytest.mark.parametrize("finest", [0, 1, 3, 100])
def test_the_number_of_shortest_leaps_is_a_power_of_two(finest: int) -> None:
    with pytest.raises(ValueError, match=f"got finest={finest}"):
        Shortcut(Uniform(), Unit(), finest=finest)
