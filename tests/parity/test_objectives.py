"""Losses against torchcfm and azula, on the same network, pairs and times.

Conventions. Both peers average over the batch at once, here the loss is one number a sample. azula
calls its network with ``log(sigma/alpha)``, which is minus half of log_snr; here it is told a
quarter of log_snr.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from bench.formulations.grammar import objective, time_sampling, weighting
from bench.formulations.grammar import path as declare
from bench.models.meter import counted
from bench.models.path_model import PathModel, build_network
from bench.streams import Draws
from bench.training.couplings import Pair

cfm = pytest.importorskip("torchcfm.conditional_flow_matching", reason="pip install '.[parity]'")
denoise = pytest.importorskip("azula.denoise", reason="pip install '.[parity]'")
noise_of = pytest.importorskip("azula.noise", reason="pip install '.[parity]'")

SIZE = 64
DRAWS = Draws(0, 0, SIZE, torch.device("cpu"))


@pytest.fixture
def network() -> nn.Module:
    """A network whose output is not zero, as that of a fresh one is."""
    built = build_network("residual_mlp", (1, 2, 2), {"width": 16, "depth": 1, "embedding": 8}, 0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return built


@pytest.fixture
def pair() -> Pair:
    generator = torch.Generator().manual_seed(2)
    noise = torch.randn(SIZE, 1, 2, 2, generator=generator)
    return Pair(noise, torch.randn(SIZE, 1, 2, 2, generator=generator) + 1)


def regression(model: PathModel, pair: Pair) -> Tensor:
    """The mean loss, at the times that :data:`DRAWS` gives the uniform law."""
    loss = objective("regression").build(
        time_sampling=time_sampling("uniform").build(), weighting=weighting("unit").build()
    )
    mean: Tensor = loss(model, pair, DRAWS, 0.0).mean()
    return mean


@pytest.mark.parametrize(
    ("path", "matcher"),
    [
        (declare("linear"), "ConditionalFlowMatcher"),
        (declare("linear", sigma_min=0.1), "TargetConditionalFlowMatcher"),
        (declare("trigonometric"), "VariancePreservingConditionalFlowMatcher"),
    ],
    ids=lambda part: part if isinstance(part, str) else part.describe(),
)
def test_regression_on_the_velocity_is_the_loss_of_torchcfm(
    path: object, matcher: str, network: nn.Module, pair: Pair
) -> None:
    model = PathModel(network, path.build(), "velocity", 0.7)
    theirs = getattr(cfm, matcher)(sigma=path.options.get("sigma_min", 0.0))
    t = time_sampling("uniform").build()(DRAWS("time"), model.path)
    with counted():
        x = theirs.sample_xt(pair.noise, pair.data, t, pair.noise)
        wanted = theirs.compute_conditional_flow(pair.noise, pair.data, t, x)
        loss = (model.velocity(x, t) - wanted).square().mean()
        torch.testing.assert_close(regression(model, pair), loss, rtol=1e-5, atol=0)


class Backbone(nn.Module):
    """A network of this suite under azula's calling convention."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, log_level: Tensor) -> Tensor:
        return self.network(x, -log_level[:, None] / 2, None)


@pytest.mark.parametrize("name", ["linear", "trigonometric"])
def test_edm_preconditioning_and_its_loss_are_those_of_azula(
    name: str, network: nn.Module, pair: Pair
) -> None:
    """``KarrasDenoiser`` is EDM's preconditioning at sigma_data = 1, for any path.

    Its loss weighs the error of the data by ``1/c_out^2``: our unit weight on the error of the
    output. Its time runs from data to noise.
    """
    schedules = {"linear": noise_of.RectifiedSchedule, "trigonometric": noise_of.CosineSchedule}
    theirs = denoise.KarrasDenoiser(Backbone(network), schedules[name](0.0, 0.0))
    model = PathModel(network, declare(name).build(), "edm", 1.0)
    t = time_sampling("uniform").build()(DRAWS("time"), model.path)
    with counted(), torch.random.fork_rng(devices=[]):  # azula draws from torch's global stream
        torch.default_generator.manual_seed(3)
        noise = torch.randn_like(pair.data)
        torch.default_generator.manual_seed(3)
        loss = theirs.loss(pair.data, 1 - t)
        ours = regression(model, pair._replace(noise=noise))
        torch.testing.assert_close(ours, loss, rtol=1e-4, atol=0)
        c = [value[:, None, None, None] for value in model.path.coefficients(t)[:2]]
        x = c[0] * pair.data + c[1] * noise
        torch.testing.assert_close(model.data(x, t), theirs(x, 1 - t).mean, rtol=1e-4, atol=1e-5)
