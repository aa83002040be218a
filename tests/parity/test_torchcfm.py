"""A network that torchcfm's matcher trains, integrated here and in torchcfm's convention."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchdiffeq import odeint

from bench.formulations.grammar import path as declare
from bench.models import adapters
from bench.models.adapters import Foreign
from bench.models.meter import counted
from bench.sampling.sample import Request, sample
from bench.sampling.solvers.catalogue import solver
from tests.fields import ring

cfm = pytest.importorskip("torchcfm.conditional_flow_matching", reason="pip install '.[parity]'")
models = pytest.importorskip("torchcfm.models.models", reason="pip install '.[parity]'")

LAW = ring()
NOISE = torch.randn(50, 2, generator=torch.Generator().manual_seed(2))


class Wrapped(torch.nn.Module):
    """``torchcfm.utils.torch_wrapper``, whose module also imports torchdyn."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        output: Tensor = self.network(torch.cat([x, t.repeat(x.shape[0])[:, None]], 1))
        return output


@pytest.fixture(scope="module")
def net() -> Wrapped:
    """An MLP of torchcfm, trained on a ring by torchcfm's matcher."""
    matcher = cfm.ConditionalFlowMatcher(sigma=0.0)
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):  # torchcfm draws its times from the global stream
        torch.default_generator.manual_seed(0)
        network = models.MLP(dim=2, time_varying=True)
        optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
        for _ in range(600):
            data = LAW.sample(256, generator).float()
            noise = torch.randn(data.shape, generator=generator)
            t, x, velocity = matcher.sample_location_and_conditional_flow(noise, data)
            loss = (network(torch.cat([x, t[:, None]], 1)) - velocity).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return Wrapped(network)


def model(foreign: Foreign) -> adapters.ForeignModel:
    assert foreign.prediction is not None
    path = declare("linear").build()
    return adapters.model("mine", foreign, path, foreign.prediction, (2,), torch.device("cpu"))


def test_midpoint_ends_where_torchdiffeq_does_on_the_raw_network(net: Wrapped) -> None:
    solution = sample(
        model(adapters.from_torchcfm(net)), NOISE, Request(solver("midpoint"), 16), 50
    )
    with counted():
        theirs = odeint(net, NOISE, torch.linspace(0, 1, 9), method="midpoint")[-1]
    torch.testing.assert_close(solution.end, theirs, rtol=1e-4, atol=1e-4)
    assert solution.nfe == 16


def test_what_it_has_learnt_is_the_velocity_of_our_path(net: Wrapped) -> None:
    found = model(adapters.from_torchcfm(net))
    for time in (0.3, 0.7):
        data = LAW.sample(500, torch.Generator().manual_seed(5)).float()
        noise = torch.randn(data.shape, generator=torch.Generator().manual_seed(6))
        t = torch.full((500,), time)
        x = time * data + (1 - time) * noise
        c = found.path.coefficients(t.double())
        exact = LAW.velocity(x.double(), c)
        with counted():
            error = (found.velocity(x, t) - exact).square().mean()
        assert error < 0.3 * exact.square().mean()


def test_the_path_of_another_matcher_is_named() -> None:
    foreign = adapters.from_torchcfm(lambda t, x: x, "linear", sigma_min=0.1)
    assert foreign.path == declare("linear", sigma_min=0.1)
    assert foreign.prediction == "velocity"


def test_one_batch_has_one_time() -> None:
    foreign = adapters.from_torchcfm(lambda t, x: x)
    with pytest.raises(ValueError, match="one time for a batch"):
        foreign.function(NOISE[:2], torch.tensor([0.1, 0.2]))
