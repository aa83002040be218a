"""What an output means, and that any meaning turns into any other and back."""

from __future__ import annotations

import itertools

import pytest
import torch

from bench.formulations.grammar import path as declare
from bench.models.predictions import PREDICTIONS, convert, target
from bench.registry import discover

SIGMA_DATA = 0.6


@pytest.mark.parametrize("name", discover("paths"))
@pytest.mark.parametrize(("given", "wanted"), list(itertools.permutations(PREDICTIONS, 2)))
def test_any_prediction_turns_into_any_other(name: str, given: str, wanted: str) -> None:
    path = declare(name).build()
    generator = torch.Generator().manual_seed(0)
    log_snr = torch.linspace(-7, 7, 29, dtype=torch.float64)
    c = path.coefficients(path.t_of_log_snr(log_snr))
    data = torch.randn(29, 3, generator=generator, dtype=torch.float64)
    noise = torch.randn(29, 3, generator=generator, dtype=torch.float64)
    x = c.alpha[:, None] * data + c.sigma[:, None] * noise
    have, want = PREDICTIONS[given](c, SIGMA_DATA), PREDICTIONS[wanted](c, SIGMA_DATA)
    converted = convert(target(have, data, noise), x, c, have, want)
    expected = target(want, data, noise)
    torch.testing.assert_close(converted, expected, rtol=1e-7, atol=1e-7)


def test_definitions() -> None:
    """The rows of the literature, by hand, on a point of the VP path."""
    c = declare("vp").build().coefficients(torch.tensor([0.6], dtype=torch.float64))
    data, noise = torch.tensor([[2.0]]).double(), torch.tensor([[-0.5]]).double()
    alpha, sigma, d_alpha, d_sigma, _ = (float(value) for value in c)

    def value(name: str) -> float:
        return float(target(PREDICTIONS[name](c, SIGMA_DATA), data, noise))

    assert value("data") == pytest.approx(2.0)
    assert value("noise") == pytest.approx(-0.5)
    assert value("velocity") == pytest.approx(d_alpha * 2.0 + d_sigma * -0.5)
    assert value("v") == pytest.approx(alpha * -0.5 - sigma * 2.0)
    assert value("score") == pytest.approx(0.5 / sigma)


def test_edm_target_has_unit_variance() -> None:
    """EDM chooses c_skip and c_out so that the network's target has variance one."""
    path = declare("edm").build()
    level = torch.tensor([0.01, 0.5, 5.0, 60.0], dtype=torch.float64)
    weights = PREDICTIONS["edm"](path.at_level(level), SIGMA_DATA)
    variance = (weights.a * SIGMA_DATA) ** 2 + weights.b**2
    torch.testing.assert_close(variance / weights.scale**2, torch.ones(4, dtype=torch.float64))


def test_consistency_is_the_identity_at_the_smallest_level() -> None:
    path = declare("edm").build()
    c = path.at_level(torch.tensor([path.sigma_min], dtype=torch.float64))
    x = torch.tensor([[0.3, -0.8]], dtype=torch.float64)
    anything = torch.tensor([[1e3, -1e3]], dtype=torch.float64)
    given, to = (PREDICTIONS[name](c, SIGMA_DATA) for name in ("consistency", "data"))
    torch.testing.assert_close(convert(anything, x, c, given, to), x, rtol=0, atol=1e-12)
