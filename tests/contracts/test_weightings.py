"""Every weighting: what it makes of the error of the data, whatever the network predicts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from bench.formulations.grammar import path as declare_path
from bench.formulations.grammar import weighting as declare
from bench.models.path_model import PathModel
from bench.models.paths import PathCoefficients
from bench.models.predictions import PREDICTIONS, convert, gain, target
from bench.registry import discover
from bench.streams import HALF_STEP
from bench.training.weightings import Weighting

WEIGHTINGS = discover("weightings")
SIGMA_DATA = 0.6
ON_DATA = {
    "snr": lambda snr: snr,
    "min_snr": lambda snr: snr.clamp(max=5.0),
    "truncated_snr": lambda snr: snr.clamp(min=1.0, max=1e4),
    "linear_velocity": lambda snr: (1 + snr.sqrt()).square(),
}
"""Published weights of the squared error of the data, as functions of alpha^2/sigma^2."""

BY_GAP = {"inverse_gap": lambda gap: 1 / gap}
"""Weights by the distance to the neighbour's noise level."""


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


def check_on_data(
    weighting: Weighting, stated: Callable[[Tensor], Tensor], prediction: str
) -> None:
    """The same wrong estimate of the data costs the same in every output space: what is stated."""
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
    weight = weighting(c, gain(c, given))
    loss = weight * (output(data + error) - output(data)).square().sum(1)
    wanted = stated((c.alpha / c.sigma) ** 2) * error.square().sum(1)
    torch.testing.assert_close(loss, wanted, rtol=1e-9, atol=0)


@pytest.mark.parametrize("name", ON_DATA)
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_a_weight_on_the_data_does_not_depend_on_the_prediction(name: str, prediction: str) -> None:
    check_on_data(declare(name).build(), ON_DATA[name], prediction)


def test_snr_weighting_is_unit_weight_on_the_noise() -> None:
    c = points()
    weight = declare("snr").build()(c, gain(c, PREDICTIONS["noise"](c, SIGMA_DATA)))
    torch.testing.assert_close(weight, torch.ones_like(weight))


def check_weights(weighting: Weighting, path: str, prediction: str) -> None:
    """One positive, finite weight for each time that a law may draw, ends of the interval too."""
    model = PathModel(nn.Identity(), declare_path(path).build(), prediction, SIGMA_DATA)
    start, end = model.path.interval
    u = torch.cat([torch.tensor([HALF_STEP, 1 - HALF_STEP]), (torch.arange(50) + 0.5) / 50])
    t = model.path.inside(start + (end - start) * u)
    c = model.path.coefficients(t)
    weight = weighting(c, model.gain(c), torch.full_like(t, 0.1))
    assert weight.shape == t.shape
    assert weight.isfinite().all()
    assert (weight > 0).all()


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("path", discover("paths"))
@pytest.mark.parametrize("name", WEIGHTINGS)
def test_weights_are_finite_and_positive(name: str, path: str, prediction: str) -> None:
    check_weights(declare(name).build(), path, prediction)


def test_every_weighting_is_stated() -> None:
    """On the error of the data, on that of the output as it is, or by the neighbours' distance."""
    assert {*ON_DATA, "unit", *BY_GAP} == set(WEIGHTINGS)


def test_unit_weighting_leaves_the_error_of_the_output_as_it_is() -> None:
    c = points()
    slope = gain(c, PREDICTIONS["v"](c, SIGMA_DATA))
    assert torch.equal(declare("unit").build()(c, slope), torch.ones_like(slope))


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_only_a_weighting_of_neighbours_looks_at_their_distance(name: str) -> None:
    c, weighting = points(), declare(name).build()
    slope = gain(c, PREDICTIONS["v"](c, SIGMA_DATA))
    near, far = (weighting(c, slope, torch.full_like(slope, gap)) for gap in (0.1, 0.4))
    if name in BY_GAP:
        torch.testing.assert_close(near, BY_GAP[name](torch.full_like(slope, 0.1)))
        torch.testing.assert_close(far, BY_GAP[name](torch.full_like(slope, 0.4)))
    else:
        assert torch.equal(near, far)
        assert torch.equal(near, weighting(c, slope))


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
