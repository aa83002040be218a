"""sCM: the tangent is that of the consistency function along the trajectory."""

from __future__ import annotations

import math

import pytest
import torch

from bench.formulations.grammar import path
from bench.models.meter import counted
from bench.models.path_model import PathModel
from bench.streams import Draws
from bench.training.couplings import Pair
from bench.training.objectives.continuous_consistency import ContinuousConsistency
from bench.training.time_sampling.uniform import Uniform
from bench.training.weightings.unit import Unit
from tests.training.objectives import gaussian

SIZE = 64


def objective(**options: float) -> ContinuousConsistency:
    return ContinuousConsistency(Uniform(), Unit(), **options)


def inexact() -> PathModel:
    return gaussian.v_model(path("trigonometric").build(), change=0.3)


def drawn() -> tuple[torch.Tensor, ...]:
    """Noise, data and times."""
    generator = torch.Generator().manual_seed(0)
    noise, data = torch.randn(2, SIZE, 2, generator=generator, dtype=torch.float64)
    u = torch.rand(SIZE, generator=generator, dtype=torch.float64)
    return noise, gaussian.SD * data, 0.02 + 0.96 * u


def test_the_tangent_is_the_derivative_of_the_data_along_the_pair() -> None:
    used, (noise, data, t) = inexact(), drawn()

    def function(at: torch.Tensor) -> torch.Tensor:
        c = used.path.coefficients(at)
        return used.data(c.alpha[:, None] * data + c.sigma[:, None] * noise, at)

    c, step = used.path.coefficients(t), 1e-5
    alpha, sigma = c.alpha[:, None], c.sigma[:, None]
    x, v = alpha * data + sigma * noise, alpha * noise - sigma * data
    with counted():
        _, tangent = objective().tangent(used, x, t, v, 1.0)
        slope = (function(t + step) - function(t - step)) / (2 * step)
    # tau = (1 - t)*pi/2
    assert torch.allclose(tangent, alpha * slope * (-2 / math.pi), rtol=1e-6, atol=1e-8)


def test_the_tangent_vanishes_for_the_exact_consistency_function() -> None:
    trigonometric = path("trigonometric").build()

    def exact(x: torch.Tensor, t: torch.Tensor, ahead: torch.Tensor) -> torch.Tensor:
        # f = x*k(1)/k(t), and F = (alpha*x - f)/sigma.
        c = trigonometric.coefficients(t)
        ratio = gaussian.SD / gaussian.scale(trigonometric, t)
        return ((c.alpha - ratio) / c.sigma)[:, None] * x

    network = gaussian.Told(trigonometric, exact)
    used = PathModel(network, trigonometric, "v", gaussian.SD, "time")
    teacher = gaussian.v_model(trigonometric)
    noise, data, t = drawn()
    c = trigonometric.coefficients(t)
    x = c.alpha[:, None] * data + c.sigma[:, None] * noise
    with counted(), torch.no_grad():
        _, tangent = objective().tangent(used, x, t, teacher.predict(x, c, "v"), 1.0)
    assert tangent.abs().max() < 1e-9


def test_warm_up_starts_with_the_velocity_alone() -> None:
    used, (noise, data, t) = inexact(), drawn()
    c = used.path.coefficients(t)
    x = c.alpha[:, None] * data + c.sigma[:, None] * noise
    v = c.alpha[:, None] * noise - c.sigma[:, None] * data
    with counted(), torch.no_grad():
        output, tangent = objective().tangent(used, x, t, v, 0.0)
    assert torch.allclose(tangent, -c.alpha.square()[:, None] * (output - v))


def test_the_loss_is_the_squared_normalised_tangent() -> None:
    used, (noise, data, _) = inexact(), drawn()
    draws = Draws(0, 0, SIZE, torch.device("cpu"))
    t = draws("time")
    c = used.path.coefficients(t)
    x = c.alpha[:, None] * data + c.sigma[:, None] * noise
    v = c.alpha[:, None] * noise - c.sigma[:, None] * data
    with counted():
        loss = objective(warmup=0.5)(used, Pair(noise, data), draws, 0.25)
        _, tangent = objective().tangent(used, x, t, v, 0.5)
    norm = tangent.norm(dim=1)
    assert torch.allclose(loss, (norm / (norm + 0.1)).square() / 2)
    assert loss.requires_grad


def test_a_teacher_gives_the_direction() -> None:
    used, (noise, data, _) = inexact(), drawn()
    draws = Draws(0, 0, SIZE, torch.device("cpu"))
    distilled = objective()
    distilled.teacher = gaussian.v_model(used.path)
    with counted():
        alone = objective()(used, Pair(noise, data), draws, 0.5)
        taught = distilled(used, Pair(noise, data), draws, 0.5)
    assert not torch.allclose(alone, taught)


@pytest.mark.parametrize("warmup", [0.0, 1.5])
def test_warm_up_is_a_fraction(warmup: float) -> None:
    with pytest.raises(ValueError, match="warmup"):
        objective(warmup=warmup)
