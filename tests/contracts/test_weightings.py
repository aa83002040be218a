"""Every weighting: what it makes of the error of the data, whatever the network predicts."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.formulations.grammar import path as declare_path
from bench.formulations.grammar import weighting as declare
from bench.models.paths import PathCoefficients
from bench.models.predictions import PREDICTIONS, convert, gain, target
from bench.registry import discover

WEIGHTINGS = discover("weightings")
SIGMA_DATA = 0.6
ON_DATA = {
    "snr": lambda snr: snr,
    "min_snr": lambda snr: snr.clamp(max=5.0),
    "truncated_snr": lambda snr: snr.clamp(min=1.0, max=1e4),
    "linear_velocity": lambda snr: (1 + snr.sqrt()).square(),
}
"""Published weights of the squared error of the data, as functions of alpha^2/sigma^2."""


def points(path: str = "vp") -> PathCoefficients:
    on = declare_path(path).build()
    return on.coefficients(on.t_of_log_snr(torch.linspace(-6, 6, 25, dtype=torch.float64)))


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("path", discover("paths"))
def test_gain_is_the_slope_of_the_data_by_the_output(path: str, prediction: str) -> None:
    c = points(path)
    given, to = PREDICTIONS[prediction](c, SIGMA_DATA), PREDICTIONS["data"](c, SIGMA_DATA)
    x = torch.randn(25, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    at, ahead = (convert(torch.full_like(x, v), x, c, given, to) for v in (0.0, 1.0))
    torch.testing.assert_close((ahead - at)[:, 0], gain(c, given), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ON_DATA)
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_a_weight_on_the_data_does_not_depend_on_the_prediction(name: str, prediction: str) -> None:
    """The same wrong estimate of the data costs the same in every output space."""
    c = points()
    generator = torch.Generator().manual_seed(1)
    data, noise, error = (
        torch.randn(25, 3, generator=generator, dtype=torch.float64) for _ in range(3)
    )

    def output(data: Tensor) -> Tensor:
        estimate = (x - c.alpha[:, None] * data) / c.sigma[:, None]
        return target(given, data, estimate)

    given = PREDICTIONS[prediction](c, SIGMA_DATA)
    x = c.alpha[:, None] * data + c.sigma[:, None] * noise
    weight = declare(name).build()(c, gain(c, given))
    loss = weight * (output(data + error) - output(data)).square().sum(1)
    wanted = ON_DATA[name]((c.alpha / c.sigma) ** 2) * error.square().sum(1)
    torch.testing.assert_close(loss, wanted, rtol=1e-9, atol=0)


def test_snr_weighting_is_unit_weight_on_the_noise() -> None:
    c = points()
    weight = declare("snr").build()(c, gain(c, PREDICTIONS["noise"](c, SIGMA_DATA)))
    torch.testing.assert_close(weight, torch.ones_like(weight))


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_weights_are_finite_and_positive(name: str) -> None:
    for path in discover("paths"):
        c = points(path).to(torch.float32)
        slope = gain(c, PREDICTIONS["v"](c, SIGMA_DATA))
        weight = declare(name).build()(c, slope, torch.full_like(slope, 0.1))
        assert weight.shape == slope.shape
        assert weight.isfinite().all()
        assert (weight > 0).all()


def test_a_weighting_of_neighbours_needs_neighbours() -> None:
    c = points()
    with pytest.raises(ValueError, match="objective with neighbours"):
        declare("inverse_gap").build()(c, torch.ones_like(c.alpha))


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_a_misspelt_option_is_refused(name: str) -> None:
    with pytest.raises(TypeError):
        declare(name, gama=1.0).build()


@pytest.mark.parametrize(("name", "option"), [("min_snr", "gamma"), ("truncated_snr", "largest")])
def test_an_impossible_option_is_refused(name: str, option: str) -> None:
    with pytest.raises(ValueError, match=option):
        declare(name, **{option: -1.0}).build()
