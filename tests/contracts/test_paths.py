"""Every path: ends, derivatives, log_snr and its inverse, and the flow it defines."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from bench.data.mixture import GaussianMixture
from bench.formulations.grammar import path as declare
from bench.models.paths import Path
from bench.registry import discover

PATHS = discover("paths")


def inside(path: Path, count: int = 400, margin: float = 1e-6) -> Tensor:
    """Times strictly inside the path's interval, denser towards both ends."""
    start, end = path.interval
    u = torch.linspace(math.log(margin), -math.log(margin), count, dtype=torch.float64).sigmoid()
    return start + (end - start) * u


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest) -> Path:
    built: Path = declare(request.param).build()
    return built


def test_starts_in_noise_and_ends_in_data(path: Path) -> None:
    ends = path.coefficients(torch.tensor(path.interval, dtype=torch.float64))
    level = ends.sigma / ends.alpha.clamp(min=1e-300)
    assert level[0] > 50
    assert level[1] < 0.02


def test_derivatives_are_those_of_the_coefficients(path: Path) -> None:
    t = inside(path).requires_grad_()
    c = path.coefficients(t)
    for value, derivative in ((c.alpha, c.d_alpha), (c.sigma, c.d_sigma)):
        # A coefficient may not depend on t at all.
        (expected,) = torch.autograd.grad((value + 0 * t).sum(), t, retain_graph=True)
        torch.testing.assert_close(derivative.detach(), expected, rtol=1e-9, atol=1e-12)


def test_log_snr_rises_and_its_inverse_returns(path: Path) -> None:
    t = inside(path)
    log_snr = path.log_snr(t)
    assert (log_snr.diff() > 0).all()
    torch.testing.assert_close(path.t_of_log_snr(log_snr), t, rtol=1e-9, atol=1e-9)
    # Where rounding of t itself changes log_snr, compare what the time means.
    torch.testing.assert_close(path.log_snr(path.t_of_log_snr(log_snr)), log_snr, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_finite_at_the_ends_of_the_interval(path: Path, dtype: torch.dtype) -> None:
    """In half precision 1 - 1e-3 is 1: rounded times are moved back into the interval."""
    t = torch.tensor([path.interval[0], 0.5, path.interval[1]], dtype=dtype)
    c = path.coefficients(path.inside(t))
    for value in c[:4]:
        assert value.dtype == torch.float32
        assert value.isfinite().all()
        assert value.to(dtype).isfinite().all()


def test_half_precision_times_mean_what_they_say(path: Path) -> None:
    t = torch.tensor([0.25, 0.5, 0.75])
    for ours, exact in zip(path.coefficients(t.bfloat16()), path.coefficients(t), strict=True):
        assert torch.equal(ours, exact)


@pytest.mark.parametrize("near", [1e-5, 1e-3])
def test_float32_keeps_its_digits_at_both_ends(path: Path, near: float) -> None:
    start, end = path.interval
    for t in (start + near, end - near):
        single = torch.tensor([t])
        exact = path.coefficients(single.double())
        for ours, wanted in zip(path.coefficients(single)[:4], exact[:4], strict=True):
            torch.testing.assert_close(ours.double(), wanted, rtol=2e-5, atol=0)


def test_a_cut_path_is_the_same_path_on_fewer_times(path: Path) -> None:
    cut = path.cut(end=0.75)
    assert cut.interval == (path.interval[0], 0.75)
    assert path.interval[1] > 0.75
    t = torch.tensor([0.5])
    assert torch.equal(cut.log_snr(t), path.log_snr(t))


def test_the_exact_velocity_recovers_the_data(path: Path) -> None:
    """For one Gaussian the flow is known: ``x -> alpha*m + sqrt(alpha^2 s^2 + sigma^2)*z``."""
    mean, std = torch.tensor([[0.4, -1.1]], dtype=torch.float64), 0.3
    covariance = std**2 * torch.eye(2, dtype=torch.float64)[None]
    gaussian = GaussianMixture(torch.ones(1), mean, covariance)
    start, end = path.interval
    low, high = path.log_snr(torch.tensor([start, end], dtype=torch.float64)).clamp(-12, 12)
    levels = torch.linspace(float(low), float(high), 801, dtype=torch.float64)
    grid = path.t_of_log_snr(levels)
    first = path.coefficients(grid[:1])
    z = torch.tensor([[0.7, -0.2], [-1.9, 0.1]], dtype=torch.float64)

    def exact(c_alpha: Tensor, c_sigma: Tensor) -> Tensor:
        return c_alpha * mean + (c_alpha**2 * std**2 + c_sigma**2).sqrt() * z

    x = exact(first.alpha, first.sigma)
    for now, then in itertools.pairwise(grid):
        h = then - now

        def slope(t: Tensor, state: Tensor) -> Tensor:
            return gaussian.velocity(state, path.coefficients(t.expand(len(state))))

        k1 = slope(now, x)
        k2 = slope(now + h / 2, x + h / 2 * k1)
        k3 = slope(now + h / 2, x + h / 2 * k2)
        k4 = slope(then, x + h * k3)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    last = path.coefficients(grid[-1:])
    torch.testing.assert_close(x, exact(last.alpha, last.sigma), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", PATHS)
def test_a_misspelt_option_is_refused(name: str) -> None:
    with pytest.raises(TypeError):
        declare(name, sigma_minimum=0.1).build()
