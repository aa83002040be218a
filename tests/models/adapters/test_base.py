"""Foreign functions as models: what they are told, how they are counted, what is refused."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path as File

import pytest
import torch
from torch import Tensor, nn

from bench.errors import BudgetError, InputError
from bench.models import adapters
from bench.models.adapters import Foreign, ForeignModel
from bench.models.meter import counted
from bench.models.paths.linear import Linear
from bench.models.paths.vp import Vp
from bench.models.predictions import PREDICTIONS
from bench.sampling.sample import Request, sample
from bench.sampling.solvers.catalogue import solver
from tests.fields import ring

CPU = torch.device("cpu")
NOISE = torch.randn(10, 2, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """Two layers on position and time, one inside the other as networks are built."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        output: Tensor = self.layers(torch.cat([x, t[:, None]], 1))
        return output


def made(function: adapters._base.Function, prediction: str = "velocity") -> ForeignModel:
    return adapters.model("mine", Foreign(function), Linear(), prediction, (2,), CPU)


def nfe(model: ForeignModel, asked: int) -> float:
    return sample(model, NOISE, Request(solver("euler"), asked), 4).nfe


def check_nfe(model: ForeignModel, calls: list[int], asked: int) -> None:
    """What is counted is how often the network was called, and what was asked for."""
    calls.clear()
    found = nfe(model, asked)
    assert found == asked
    assert sum(calls) == asked * len(NOISE)


def counting(network: nn.Module) -> list[int]:
    """Batches that the network is called with, noted by a hook of the user's own."""
    calls: list[int] = []
    network.register_forward_hook(lambda module, inputs, output: calls.append(len(inputs[0])))
    return calls


def guided(network: nn.Module) -> adapters._base.Function:
    """A function that asks its network twice, as classifier-free guidance does."""
    return lambda x, t: 2 * network(x, t) - network(0.5 * x, t)


def test_forwards_are_counted_at_the_network() -> None:
    network = Net()
    check_nfe(made(network), counting(network), 6)
    check_nfe(made(lambda x, t: network(x, t)), counting(network), 6)


def test_a_function_that_asks_twice_counts_two() -> None:
    network = Net()
    model = made(guided(network))
    assert model.evaluations == 2
    check_nfe(model, counting(network), 6)
    both = made(lambda x, t: network(torch.cat([x, x]), torch.cat([t, t]))[: len(x)])
    assert both.evaluations == 2
    assert nfe(both, 4) == 4


def test_the_same_network_taken_in_twice_is_counted_once() -> None:
    network = Net()
    made(network)
    assert nfe(made(network), 3) == 3


def test_a_function_without_a_network_counts_one_a_call() -> None:
    model = made(lambda x, t: -x)
    assert model.evaluations == 1
    assert nfe(model, 5) == 5


def test_forwards_outside_a_metered_region_raise() -> None:
    network = Net()
    made(network)
    with pytest.raises(BudgetError):
        network(NOISE, torch.zeros(10))


def test_networks_are_frozen_and_trying_them_changes_nothing() -> None:
    network = Net().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    made(lambda x, t: network(x, t))
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


@pytest.mark.parametrize("prediction", ["data", "noise", "velocity", "v", "score"])
def test_any_prediction_of_the_exact_field_gives_its_velocity_and_data(prediction: str) -> None:
    law, path = ring(), Vp()

    def function(x: Tensor, t: Tensor) -> Tensor:
        c = path.coefficients(t.double())
        data = law.posterior_mean_data(x.double(), c)
        noise = (x.double() - c.alpha[:, None] * data) / c.sigma[:, None]
        weights = PREDICTIONS[prediction](c, 1.0)
        return (weights.a[:, None] * data + weights.b[:, None] * noise).to(x.dtype)

    model = adapters.model("mine", Foreign(function), path, prediction, (2,), CPU)
    x, t = NOISE.double(), torch.linspace(0.01, 0.95, 10, dtype=torch.float64)
    c = path.coefficients(t)
    with counted():
        velocity, data = model.velocity(x, t), model.data(x, t)
    torch.testing.assert_close(velocity, law.velocity(x, c), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(data, law.posterior_mean_data(x, c), rtol=1e-4, atol=1e-5)


def depends(network: nn.Module) -> adapters._base.Function:
    return lambda x, t: network(x, t) if t[0] < 0.5 else guided(network)(x, t)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x, t: x[:, :1], r"returns \[2, 1\]; it must have the shape of x"),
        (lambda x, t: x / 0 * 0, "values that are not finite"),
        (lambda x, t: (x,), "something of type tuple; return the tensor itself"),
        (lambda x, t: torch.zeros(3) @ x, "raised RuntimeError"),
        (depends(Net()), "1 or 2 forwards of its network, depending on the time"),
    ],
)
def test_functions_that_do_not_work_are_refused(
    function: adapters._base.Function, words: str
) -> None:
    with pytest.raises(InputError, match=words) as refusal:
        made(function)
    assert "\n" not in str(refusal.value)


# --- factories ------------------------------------------------------------------------------------

MODULE = """
import torch
from torch import nn

number = 3

def linear():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        network = nn.Linear(2, 2)
    return lambda x, t: network(x)

def on_device(device):
    return nn.Identity() if device == torch.device("cpu") else None

def asks(size):
    return None

def gives_a_number():
    return number

def raises():
    raise RuntimeError("no such checkpoint")
"""


@pytest.fixture
def module(tmp_path: File, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "her_models.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    adapters.load.cache_clear()
    yield "her_models"
    sys.modules.pop("her_models", None)


def test_a_factory_is_imported_from_the_working_directory(module: str) -> None:
    foreign = adapters.load(f"{module}:linear", CPU)
    assert foreign.function(NOISE, NOISE[:, 0]).shape == NOISE.shape
    assert adapters.load(f"{module}:linear", CPU) is foreign
    assert isinstance(adapters.load(f"{module}:on_device", CPU).function, nn.Identity)


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        ("her_models", "write package.module:factory"),
        ("no_models:linear", "there is no module 'no_models'"),
        ("her_models:linaer", "has no 'linaer'"),
        ("her_models:number", "something of type int, no function"),
        ("her_models:asks", "asks for 'size'"),
        ("her_models:gives_a_number", "returned something of type int"),
        ("her_models:raises", r"no such checkpoint \(her_models.py, line 23\)"),
    ],
)
def test_factories_that_cannot_be_had_are_refused(module: str, factory: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as refusal:
        adapters.load(factory, CPU)
    assert "\n" not in str(refusal.value)


def state_of(factory: str) -> tuple[str, nn.Module]:
    adapters.load.cache_clear()
    foreign = adapters.load(factory, CPU)
    model = adapters.model(factory, foreign, Linear(), "data", (2,), CPU)
    return adapters.state(factory, foreign, model.foreign), model.foreign


def test_the_state_is_that_of_source_and_weights(module: str) -> None:
    factory = f"{module}:linear"
    first, network = state_of(factory)
    assert state_of(factory)[0] == first
    with torch.no_grad():
        next(iter(network.networks.parameters())).add_(1e-3)
    assert adapters.state(factory, adapters.load(factory, CPU), network) != first
    File("her_models.py").write_text(MODULE + "\n# another line\n")
    assert state_of(factory)[0] != first
