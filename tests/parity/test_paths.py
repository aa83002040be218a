"""Coefficients and velocities of the paths against azula's schedules and torchcfm's matchers.

Conventions. azula's time runs from data (0) to noise (1), and its derivative has the other sign;
torchcfm's runs as here. azula's ``alpha_min`` and ``sigma_min`` keep its schedules off their ends
and are 0 here unless a path has such an option. torchcfm calls noise ``x0``, data ``x1`` and the
conditional velocity ``u_t``; its ``sigma`` widens a bridge between the two and is 0 here, except
in ``TargetConditionalFlowMatcher``, where it is the noise left at the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bench.formulations.grammar import path as declare
from bench.models.paths import Path

noise_of = pytest.importorskip("azula.noise", reason="pip install '.[parity]'")
cfm = pytest.importorskip("torchcfm.conditional_flow_matching", reason="pip install '.[parity]'")

INSIDE = torch.linspace(0.002, 0.998, 250, dtype=torch.float64)
SMALL = 1e-12  # stands for an option that must be positive

BETA_MAX = 20.0
SCHEDULES: dict[str, tuple[Path, Callable[[], object]]] = {
    # alpha = 1 - t, sigma = sigma_min + (1 - sigma_min)*t in azula's time.
    "linear": (
        declare("linear", sigma_min=0.07).build(),
        lambda: noise_of.RectifiedSchedule(alpha_min=0.0, sigma_min=0.07),
    ),
    # azula's exp(t^2*log(alpha_min)) is Song's path with beta_min = 0.
    "vp": (
        declare("vp", beta_min=SMALL, beta_max=BETA_MAX).build(),
        lambda: noise_of.VPSchedule(alpha_min=math.exp(-BETA_MAX / 4), sigma_min=0.0),
    ),
    # azula's cosine has no offset: it is the trigonometric path, and the limit of the cosine path.
    "trigonometric": (
        declare("trigonometric").build(),
        lambda: noise_of.CosineSchedule(alpha_min=0.0, sigma_min=0.0),
    ),
    "cosine": (
        declare("cosine", offset=SMALL).build(),
        lambda: noise_of.CosineSchedule(alpha_min=0.0, sigma_min=0.0),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_coefficients_and_derivatives_are_those_of_azula(name: str) -> None:
    path, build = SCHEDULES[name]
    schedule = build()
    theirs = (1 - INSIDE).requires_grad_()
    alpha, sigma = schedule(theirs)
    (d_alpha,) = torch.autograd.grad(alpha.sum(), theirs, retain_graph=True)
    (d_sigma,) = torch.autograd.grad(sigma.sum(), theirs)
    c = path.coefficients(INSIDE)
    torch.testing.assert_close(c.alpha, alpha.detach(), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(c.sigma, sigma.detach(), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(c.d_alpha, -d_alpha, rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(c.d_sigma, -d_sigma, rtol=1e-8, atol=1e-9)


def test_the_edm_path_is_azulas_variance_exploding_one_in_another_time() -> None:
    """EDM spaces noise levels linearly in t, azula geometrically: the curve is the same.

    At the time of equal log_snr both coefficients agree, and the velocities differ by the ratio of
    the clocks alone.
    """
    path = declare("edm", sigma_min=0.002, sigma_max=80.0).build()
    theirs = (1 - INSIDE).requires_grad_()
    alpha, sigma = noise_of.VESchedule(sigma_min=0.002, sigma_max=80.0)(theirs)
    (d_sigma,) = torch.autograd.grad(sigma.sum(), theirs)
    log_snr = 2 * (alpha / sigma).log().detach()
    c = path.coefficients(path.t_of_log_snr(log_snr))
    torch.testing.assert_close(c.alpha, alpha.detach())
    torch.testing.assert_close(c.sigma, sigma.detach(), rtol=1e-9, atol=0)
    clock = d_sigma / sigma.detach()
    torch.testing.assert_close(clock, torch.full_like(clock, math.log(80.0 / 0.002)))
    torch.testing.assert_close(c.d_sigma, torch.full_like(clock, 0.002 - 80.0))


def test_the_cosine_path_is_the_paper_of_improved_ddpm() -> None:
    """2102.09672, equation 17: ``alpha_bar = f(t)/f(0)``, ``f = cos^2(((t+s)/(1+s))*pi/2)``.

    Their t runs from data to noise, and alpha-bar is the square of alpha.
    """
    offset = 0.008
    t = 1 - INSIDE
    f = torch.cos((t + offset) / (1 + offset) * math.pi / 2).square()
    alpha_bar = f / math.cos(offset / (1 + offset) * math.pi / 2) ** 2
    c = declare("cosine", offset=offset).build().coefficients(INSIDE)
    torch.testing.assert_close(c.alpha, alpha_bar.sqrt(), rtol=1e-10, atol=1e-13)
    torch.testing.assert_close(c.sigma, (1 - alpha_bar).sqrt(), rtol=1e-9, atol=1e-12)


def test_vp_is_the_sde_of_song() -> None:
    """2011.13456, equation 33: ``alpha = exp(-(1/2) int_0^s beta)``, by quadrature of beta."""
    beta_min, beta_max = 0.1, 20.0
    fine = torch.linspace(0, 1, 1001, dtype=torch.float64)
    beta = beta_min + fine * (beta_max - beta_min)
    integral = torch.cat([torch.zeros(1), torch.cumulative_trapezoid(beta, fine)])
    c = declare("vp", beta_min=beta_min, beta_max=beta_max).build().coefficients(1 - fine[1:])
    torch.testing.assert_close(c.alpha, (-integral[1:] / 2).exp(), rtol=1e-9, atol=0)
    torch.testing.assert_close(c.sigma, (1 - (-integral[1:]).exp()).sqrt(), rtol=1e-9, atol=0)


def samples() -> tuple[Tensor, Tensor]:
    """Noise and data, one pair a time of INSIDE."""
    generator = torch.Generator().manual_seed(0)
    shape = (len(INSIDE), 1, 2, 2)
    noise = torch.randn(shape, generator=generator, dtype=torch.float64)
    return noise, torch.randn(shape, generator=generator, dtype=torch.float64) + 2


MATCHERS: dict[str, tuple[Path, Callable[[], object]]] = {
    "ConditionalFlowMatcher": (
        declare("linear").build(),
        lambda: cfm.ConditionalFlowMatcher(sigma=0.0),
    ),
    "TargetConditionalFlowMatcher": (
        declare("linear", sigma_min=0.07).build(),
        lambda: cfm.TargetConditionalFlowMatcher(sigma=0.07),
    ),
    # Variance preserving by Albergo's trigonometric interpolant, not by Song's SDE.
    "VariancePreservingConditionalFlowMatcher": (
        declare("trigonometric").build(),
        lambda: cfm.VariancePreservingConditionalFlowMatcher(sigma=0.0),
    ),
}


@pytest.mark.parametrize("name", MATCHERS)
def test_states_and_conditional_velocities_are_those_of_torchcfm(name: str) -> None:
    """``x_t`` and ``u_t`` of the same noise, data and times.

    In ``TargetConditionalFlowMatcher`` the noise is torchcfm's ``epsilon``, not its ``x0``, and its
    ``u_t`` is written by ``x_t`` (2210.02747, equation 21): the same velocity.
    """
    path, build = MATCHERS[name]
    matcher = build()
    noise, data = samples()
    x = matcher.sample_xt(noise, data, INSIDE, noise)
    velocity = matcher.compute_conditional_flow(noise, data, INSIDE, x)
    c = [value[:, None, None, None] for value in path.coefficients(INSIDE)[:4]]
    torch.testing.assert_close(c[0] * data + c[1] * noise, x)
    torch.testing.assert_close(c[2] * data + c[3] * noise, velocity, rtol=1e-9, atol=1e-9)
