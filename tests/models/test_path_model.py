"""A model on a path: what its output means at every time, the ends included."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor, nn

from bench.formulations.grammar import PREDICTION_NAMES
from bench.formulations.grammar import path as declare
from bench.models.meter import counted
from bench.models.path_model import CONDITIONS, TRUNCATION, Condition, PathModel, build_network
from bench.models.predictions import PREDICTIONS
from bench.registry import discover

BOUNDED = ("data", "noise", "velocity", "v", "edm")


class Told(nn.Module):
    """A network that notes what it is told and passes its input on."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(()))
        self.conditions: list[Tensor] = []
        self.inputs: list[Tensor] = []

    def forward(self, x: Tensor, condition: Tensor, label: Tensor | None) -> Tensor:
        self.inputs.append(x)
        self.conditions.append(condition)
        return x


def test_declared_predictions_are_those_that_exist() -> None:
    assert tuple(PREDICTIONS) == PREDICTION_NAMES


@pytest.mark.parametrize(("path", "prediction"), list(product(discover("paths"), BOUNDED)))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_data_and_velocity_are_finite_on_the_whole_interval(
    path: str, prediction: str, dtype: torch.dtype
) -> None:
    model = PathModel(Told(), declare(path).build(), prediction, 0.6)
    start, end = model.path.interval
    t = torch.tensor([start, start + 1e-4, 0.5, end - 1e-4, end], dtype=dtype)
    x = torch.tensor([[0.3, -1.2]]).expand(5, 2)
    with counted():
        for value in (model.data(x, t), model.velocity(x, t)):
            assert value.dtype == torch.float32
            assert value.isfinite().all()


@pytest.mark.parametrize(("path", "prediction"), list(product(discover("paths"), BOUNDED)))
@pytest.mark.parametrize("condition", CONDITIONS)
def test_one_time_of_a_batch_is_that_time_of_each_sample(
    path: str, prediction: str, condition: Condition
) -> None:
    network = Told()
    model = PathModel(network, declare(path).build(), prediction, 0.6, condition)
    x = torch.randn(3, 1, 2, 2, generator=torch.Generator().manual_seed(0)).double()
    for t in torch.linspace(*model.path.interval, 5, dtype=torch.float64):
        for estimate in (model.data, model.velocity):
            with counted():
                together, apart = estimate(x, t.reshape(1)), estimate(x, t.expand(3))
            torch.testing.assert_close(together, apart, rtol=1e-9, atol=1e-9)
            torch.testing.assert_close(*network.conditions[-2:])
            torch.testing.assert_close(*network.inputs[-2:])


def test_an_interval_is_cut_only_where_a_prediction_needs_it() -> None:
    linear = declare("linear").build()
    intervals = {
        name: PathModel(Told(), linear, name, 0.6).path.interval for name in ("velocity", "v")
    }
    assert set(intervals.values()) == {(0.0, 1.0)}
    assert PathModel(Told(), linear, "noise", 0.6).path.interval == (TRUNCATION, 1.0)
    assert PathModel(Told(), linear, "data", 0.6).path.interval == (0.0, 1.0 - TRUNCATION)
    vp = declare("vp").build()
    assert PathModel(Told(), vp, "noise", 0.6).path.interval == vp.interval


@pytest.mark.parametrize("path", discover("paths"))
def test_the_network_sees_unit_variance_at_every_time(path: str) -> None:
    sigma_data, network = 0.6, Told()
    model = PathModel(network, declare(path).build(), "v", sigma_data)
    generator = torch.Generator().manual_seed(0)
    noise, data = (torch.randn(20000, 1, generator=generator) for _ in range(2))
    for u in (0.02, 0.5, 0.98):
        c = model.path.coefficients(torch.tensor([u]))
        x = c.alpha * sigma_data * data + c.sigma * noise
        with counted():
            model.output(x, c)
        assert float(network.inputs[-1].std()) == pytest.approx(1, abs=0.03)


def test_what_the_network_is_told_of_time() -> None:
    linear, t = declare("linear").build(), torch.tensor([0.0, 0.5, 1.0])
    x, seen = torch.zeros(3, 2), {}
    for condition in ("log_snr", "time", "interval"):
        network = Told()
        model = PathModel(network, linear, "velocity", 1.0, condition)
        with counted():
            model.output(x, linear.coefficients(t), ahead=1 - t)
        seen[condition] = network.conditions[0]
    torch.testing.assert_close(seen["log_snr"][:, 0], torch.tensor([-3.75, 0.0, 3.75]))
    torch.testing.assert_close(seen["time"][:, 0], torch.tensor([-1.0, 0.0, 1.0]))
    torch.testing.assert_close(seen["interval"][:, 1], torch.tensor([1.0, 0.0, -1.0]))


def test_the_class_and_the_second_time_reach_the_output() -> None:
    options = {"width": 8, "depth": 1, "embedding": 4}
    network = build_network("residual_mlp", (2,), options, 0, conditions=2, classes=3)
    with torch.no_grad():
        nn.init.ones_(network.get_parameter("leave.weight"))
    x, condition = torch.ones(2, 2), torch.zeros(2, 2)
    with counted(), torch.no_grad():
        by_class = network(x, condition, torch.tensor([0, 1]))
        by_time = network(x, torch.tensor([[0.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0]))
        hidden, null = network(x, condition, None), network(x, condition, torch.tensor([3, 3]))
    assert not torch.equal(by_class[0], by_class[1])
    assert not torch.equal(by_time[0], by_time[1])
    assert torch.equal(hidden, null)
