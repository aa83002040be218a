"""Grids that are made for a model: intervals of equal local error, and searched times."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from bench.models.exact import ExactModel
from bench.models.meter import counted
from bench.models.path_model import PathModel
from bench.models.paths import Path
from bench.models.paths.edm import Edm
from bench.models.paths.linear import Linear
from bench.models.paths.vp import Vp
from bench.sampling.fitted_grids import CANDIDATES, PILOT_INTERVALS, adapted_grid, searched_times
from bench.sampling.sample import Request, denoiser, sample
from bench.sampling.solvers.adapted import ddim_errors, equal_error_grid, euler_errors
from bench.sampling.solvers.catalogue import SOLVERS
from bench.sampling.solvers.grids import Grid, edm_levels, uniform_t
from bench.sampling.solvers.schedule import Schedule
from tests.fields import ring


def normal(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, 2, generator=generator, dtype=torch.float64)


def test_errors_that_grow_with_the_square_of_the_step_give_equal_steps() -> None:
    times = torch.tensor([0.0, 0.1, 0.5, 0.6, 1.0], dtype=torch.float64)
    grid = equal_error_grid(times, 3 * times.diff() ** 2)
    torch.testing.assert_close(grid(Linear(), 8), uniform_t(Linear(), 8), atol=2e-3, rtol=0)


def test_an_error_that_is_not_finite_is_refused() -> None:
    times = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    with pytest.raises(ValueError, match="finite"):
        equal_error_grid(times, torch.tensor([1.0, float("nan")]))


@pytest.mark.parametrize("path", [Linear(), Vp()], ids=lambda path: type(path).__name__)
@pytest.mark.parametrize("name", ["euler", "ddim"])
def test_adapted_intervals_have_equal_local_error(name: str, path: Path) -> None:
    model, noise = ExactModel(ring(), path), normal(64)
    solver = SOLVERS[name]
    with counted():
        fitted = adapted_grid(model, noise, solver.family)
    assert fitted.evaluations == 2 * PILOT_INTERVALS * len(noise)

    def spread(times: Tensor) -> float:
        """Largest local error of an interval over the mean, ends of the interval left out."""
        start = path.start_scale() * noise
        with counted():
            if name == "euler":
                errors = euler_errors(model.velocity, start, times)
            else:
                errors = ddim_errors(denoiser(model), start, Schedule.of(path, times))
        return float(errors.max() / errors.mean())

    times = fitted.grid(path, 16)
    assert (times.diff() > 0).all()
    assert times[[0, -1]].tolist() == list(path.interval)
    assert spread(times) < 0.7 * spread(uniform_t(path, 16))


@pytest.mark.parametrize("name", ["euler", "ddim"])
def test_an_adapted_grid_solves_a_diffusion_better_than_equal_times(name: str) -> None:
    model, noise = ExactModel(ring(), Vp()), normal(256)
    fine = sample(model, noise, Request(SOLVERS["dopri5"], tolerance=1e-8), len(noise)).end

    def error(grid: str | Grid) -> float:
        request = Request(SOLVERS[name], 16, grid=grid)
        end = sample(model, noise, request, len(noise)).end
        return float((end - fine).square().mean().sqrt())

    with counted():
        fitted = adapted_grid(model, noise[:64], SOLVERS[name].family)
    assert error(fitted.grid) < {"euler": 0.95, "ddim": 0.7}[name] * error("uniform_t")


class Identity(nn.Module):
    """A network whose output is its input, and which knows no classes."""

    def forward(self, x: Tensor, condition: Tensor, label: Tensor | None) -> Tensor:
        return x


def test_searched_times_are_those_that_score_best() -> None:
    model, noise = PathModel(Identity(), Edm(), "consistency", 0.5), normal(16).float()
    asked: list[int] = []

    def score(samples: Tensor) -> float:
        asked.append(len(samples))
        return -float(len(asked) == 5)  # the fifth candidate of the first round

    fitted = searched_times(model, noise, lambda i, part: noise[part], score, 3)
    inner = CANDIDATES - 1
    assert len(asked) == inner + inner - 1
    assert fitted.evaluations == (2 * inner + 3 * (inner - 1)) * len(noise)
    one, two, three = (fitted.grid(model.path, count) for count in (1, 2, 3))
    assert one.tolist() == list(model.path.interval)
    assert float(two[1]) == float(edm_levels(model.path, CANDIDATES)[5])
    assert set(two.tolist()) < set(three.tolist())
    assert (three.diff() > 0).all()
    with pytest.raises(ValueError, match="up to 3 evaluations"):
        fitted.grid(model.path, 4)
