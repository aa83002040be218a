"""Solvers that add noise: their law, exactly on a Gaussian, and by draws on a mixture."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from bench.data.mixture import GaussianMixture
from bench.formulations.grammar import path as declare
from bench.models.exact import ExactModel
from bench.models.meter import counted
from bench.models.paths.linear import Linear
from bench.models.paths.vp import Vp
from bench.sampling import convergence
from bench.sampling.order import order
from bench.sampling.sample import Request, solve
from bench.sampling.solvers import stochastic
from bench.sampling.solvers.catalogue import SOLVERS, Solver
from bench.sampling.solvers.grids import uniform_log_snr
from bench.sampling.solvers.schedule import Point, Schedule
from tests.fields import ring

SLOW = ("edm_churn", "vp")
"""Seconds; and in the noise levels, where it solves, it is what it is on the linear path."""

STOCHASTIC = [s for s in SOLVERS.values() if s.family == "stochastic"]


@pytest.mark.parametrize(
    ("declared", "name"),
    [(s, path) for s in STOCHASTIC for path in ("linear", "vp") if (s.name, path) != SLOW],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_weak_order(declared: Solver, name: str) -> None:
    """Mean and spread of the end points, exactly, on one Gaussian."""
    runs = convergence.errors(declare(name).build(), declared)
    assert order(runs) == pytest.approx(declared.order, abs=0.2)


def test_the_ancestral_step_is_the_posterior_of_ddpm() -> None:
    """2006.11239, equations 6 and 7, in the paper's own symbols."""
    now, ahead = Schedule.of(Vp(), torch.tensor([0.4, 0.5], dtype=torch.float64)).points
    x, data, z = 0.8, -0.3, 1.7
    alpha_bar, alpha_bar_before = now.alpha**2, ahead.alpha**2
    alpha = alpha_bar / alpha_bar_before
    beta = 1 - alpha
    mean = (
        math.sqrt(alpha_bar_before) * beta / (1 - alpha_bar) * data
        + math.sqrt(alpha) * (1 - alpha_bar_before) / (1 - alpha_bar) * x
    )
    variance = (1 - alpha_bar_before) / (1 - alpha_bar) * beta
    one = torch.ones(1, 1, dtype=torch.float64)
    end = stochastic.ancestral(
        lambda x, point: data * one, x * one, Schedule(Vp(), (now, ahead)), lambda i: z * one
    )
    assert float(end) == pytest.approx(mean + math.sqrt(variance) * z)


def test_euler_maruyama_is_that_of_the_vp_sde_in_the_integral_of_beta() -> None:
    """2011.13456, equation 10 with f = -x/2 and g = 1: on VP the coordinates are its own."""
    now, ahead = Schedule.of(Vp(), torch.tensor([0.4, 0.45], dtype=torch.float64)).points
    length = -2 * math.log(now.alpha) + 2 * math.log(ahead.alpha)
    x, data, z = 0.8, -0.3, 1.7
    score = (now.alpha * data - x) / now.sigma**2
    expected = x + (x / 2 + score) * length + math.sqrt(length) * z
    one = torch.ones(1, 1, dtype=torch.float64)
    end = stochastic.euler_maruyama(
        lambda x, point: data * one, x * one, Schedule(Vp(), (now, ahead)), lambda i: z * one
    )
    assert float(end) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["ancestral", "euler_maruyama"])
def test_paths_share_the_process(name: str) -> None:
    """At the same log_snr points two paths end in the same state, up to their scales."""
    law, ends = ring(), []
    z = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    fresh = torch.randn(5, 6, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    levels = torch.linspace(-5, 5, 6, dtype=torch.float64)
    for path in (Vp(), Linear()):
        schedule = Schedule.of(path, path.t_of_log_snr(levels))

        def denoiser(x: Tensor, point: Point, path: Vp | Linear = path) -> Tensor:
            return law.posterior_mean_data(x, path.coefficients(torch.full((len(x),), point.t)))

        start = schedule.points[0].sigma * z
        end = stochastic.METHODS[name](denoiser, start, schedule, fresh.__getitem__)
        ends.append(end / schedule.points[-1].alpha)
    torch.testing.assert_close(*ends, rtol=1e-5, atol=1e-5)


def test_from_pure_noise_both_draw_the_posterior() -> None:
    points = (Point(0.0, 0.0, 1.0), Point(0.5, 0.6, 0.8))
    one = torch.ones(1, 1, dtype=torch.float64)
    for method in stochastic.METHODS.values():
        schedule = Schedule(Linear(), points)
        end = method(lambda x, point: 2 * one, one, schedule, lambda i: -one)
        assert float(end) == pytest.approx(0.6 * 2 - 0.8)


def energy_distance(a: Tensor, b: Tensor) -> float:
    """Squared, by U-statistics: zero in the mean for equal laws."""
    n, m = len(a), len(b)
    within = torch.cdist(a, a).sum() / (n * (n - 1)) + torch.cdist(b, b).sum() / (m * (m - 1))
    return float(2 * torch.cdist(a, b).mean() - within)


@pytest.mark.parametrize("declared", STOCHASTIC, ids=lambda s: s.name)
def test_the_law_of_a_mixture_is_reached(declared: Solver) -> None:
    """Mean, covariance and energy distance of the end points against the law's own draws."""
    law: GaussianMixture = ring()
    count, generator = 1500, torch.Generator().manual_seed(2)
    model = ExactModel(law, Vp())
    exact = law.sample(count, generator)
    distances = []
    for intervals in (4, 48):
        z = torch.randn(count, 2, generator=generator, dtype=torch.float64)
        fresh = torch.randn(intervals, count, 2, generator=generator, dtype=torch.float64)
        request = Request(declared, declared.spends(intervals))
        with counted():
            end = solve(model, model.path.start_scale() * z, request, fresh.__getitem__)
        distances.append(energy_distance(end, exact))
    mean, covariance = law.moments()
    # Four standard errors of a mean of 1,500; the covariance has the discretisation's error too.
    assert float((end.mean(0) - mean).abs().max()) < 4 * 0.75 / count**0.5
    assert float((end.T.cov() - covariance).abs().max()) < 0.08
    assert distances[1] < 0.006
    assert distances[1] < distances[0] / 3


def test_the_last_interval_of_a_grid_into_pure_data_keeps_no_noise() -> None:
    """The ancestral draw given the data is the data."""
    schedule = Schedule.of(Linear(), uniform_log_snr(Linear(), 3))
    one = torch.ones(1, 1, dtype=torch.float64)
    end = stochastic.ancestral(lambda x, point: 0.25 * one, one, schedule, lambda i: 9 * one)
    assert float(end) == pytest.approx(0.25)
