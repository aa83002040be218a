"""Exponential integrators: exact cases, weights, and a stiff mixture solved by scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad, solve_ivp
from torch import Tensor

from bench.data.mixture import GaussianMixture
from bench.models.exact import ExactModel
from bench.models.meter import counted
from bench.models.paths.linear import Linear
from bench.models.paths.vp import Vp
from bench.sampling.sample import Request, solve
from bench.sampling.solvers import exponential
from bench.sampling.solvers.catalogue import SOLVERS
from bench.sampling.solvers.grids import uniform_log_snr
from bench.sampling.solvers.schedule import Point, Schedule

LEVELS, END = [0.3, -0.4, -0.9], 1.1


def mean(power: int, length: float) -> float:
    """Of s^power under the density proportional to exp(length*s), by quadrature."""
    return (
        quad(lambda s: s**power * math.exp(length * s), 0, 1)[0]
        / quad(lambda s: math.exp(length * s), 0, 1)[0]
    )


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_adams_bashforth_integrates_polynomials_exactly(degree: int) -> None:
    """Estimates on a polynomial in lambda of a degree below their number."""
    for used in range(degree + 1, 4):
        weights = exponential._adams_bashforth(LEVELS[:used], END)
        h = END - LEVELS[0]
        values = [((level - LEVELS[0]) / h) ** degree for level in LEVELS[:used]]
        found = sum(w * v for w, v in zip(weights, values, strict=True))
        assert found == pytest.approx(mean(degree, h), rel=1e-9)
        assert sum(weights) == pytest.approx(1)


def test_the_corrector_integrates_parabolas_exactly() -> None:
    weights = exponential._corrector(LEVELS[:2], END)
    h = END - LEVELS[0]
    for degree in (0, 1, 2):
        values = [((level - LEVELS[0]) / h) ** degree for level in (END, *LEVELS[:2])]
        found = sum(w * v for w, v in zip(weights, values, strict=True))
        assert found == pytest.approx(mean(degree, h), rel=1e-9)


def test_the_third_order_of_the_authors_halves_the_curvature() -> None:
    h = END - LEVELS[0]
    weights = exponential._third(LEVELS, END)
    for degree, expected in ((0, 1.0), (1, mean(1, h)), (2, mean(2, h) / 2)):
        values = [((level - LEVELS[0]) / h) ** degree for level in LEVELS]
        found = sum(w * v for w, v in zip(weights, values, strict=True))
        assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("path", [Vp(), Linear()], ids=["vp", "linear"])
@pytest.mark.parametrize("name", exponential.METHODS)
def test_data_that_does_not_change_is_reached_in_any_number_of_intervals(
    name: str, path: Vp | Linear
) -> None:
    """A point mass: the state goes to ``alpha*data + sigma*noise`` whatever the grid."""
    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    data = torch.full_like(z, 0.7)
    for count in (1, 2, 5):
        schedule = Schedule.of(path, uniform_log_snr(path, count))
        first, last = schedule.points[0], schedule.points[-1]
        start = first.alpha * data + first.sigma * z
        end = exponential.METHODS[name](lambda x, point: data, start, schedule)
        torch.testing.assert_close(end, last.alpha * data + last.sigma * z)


def test_halfway_of_infinite_intervals() -> None:
    """The middle of alpha/sigma from pure noise, of sigma/alpha into pure data."""
    inf = math.inf
    assert exponential._halfway(-inf, math.log(0.8)) == pytest.approx(math.log(0.4))
    assert exponential._halfway(math.log(5), inf) == pytest.approx(math.log(10))
    assert exponential._halfway(-inf, inf) == 0.0
    assert exponential._halfway(-1.0, 3.0) == 1.0


def test_from_pure_noise_unipc_takes_the_mean_of_both_ends() -> None:
    asked: list[Point] = []

    def denoiser(x: Tensor, point: Point) -> Tensor:
        asked.append(point)
        return torch.full_like(x, float(len(asked)))

    points = (Point(0.0, 0.0, 1.0), Point(0.5, 0.5, 0.5), Point(1.0, 1.0, 0.0))
    end = exponential.METHODS["unipc"](denoiser, torch.ones(1, 1), Schedule(Linear(), points))
    # Corrected to sigma'*x + alpha'*(1 + 2)/2, then DDIM into pure data: the last estimate.
    assert [point.t for point in asked] == [0.0, 0.5]
    assert float(end) == 2.0


STD = 0.02


def stiff_flow(t: float, x: np.ndarray) -> np.ndarray:
    """Velocity on the linear path of eight narrow modes on a circle, written out by hand."""
    angle = 2 * np.pi * np.arange(8) / 8
    modes = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    variance = (t * STD) ** 2 + (1 - t) ** 2
    residual = x.reshape(-1, 1, 2) - t * modes
    log_weight = -np.square(residual).sum(2) / (2 * variance)
    weight = np.exp(log_weight - log_weight.max(1, keepdims=True))
    weight /= weight.sum(1, keepdims=True)
    data = modes + t * STD**2 / variance * residual
    noise = (1 - t) / variance * residual
    return (weight[:, :, None] * (data - noise)).sum(1).ravel()


def test_every_solver_on_a_stiff_mixture_ends_where_scipy_does() -> None:
    """Modes of standard deviation 0.02: near the data the flow is fifty times faster."""
    angle = 2 * torch.pi * torch.arange(8, dtype=torch.float64) / 8
    modes = torch.stack([angle.cos(), angle.sin()], dim=1)
    law = GaussianMixture(torch.full((8,), 1 / 8), modes, STD**2 * torch.eye(2).expand(8, 2, 2))
    z = torch.randn(6, 2, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    found = solve_ivp(stiff_flow, (0, 1), z.numpy().ravel(), "Radau", rtol=1e-8, atol=1e-10)
    expected = torch.from_numpy(found.y[:, -1]).reshape(6, 2)
    model = ExactModel(law, Linear())
    allowed = {"ddim": 3e-2, "dopri5": 1e-5}
    with counted():
        for name in (*exponential.METHODS, "edm_heun", "dopri5"):
            declared = SOLVERS[name]
            request = (
                Request(declared, tolerance=1e-6)
                if declared.cost is None
                else Request(declared, declared.spends(100))
            )
            off = float((solve(model, z, request) - expected).abs().max())
            assert off < allowed.get(name, 5e-3), (name, off)
