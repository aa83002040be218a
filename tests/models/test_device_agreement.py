"""Work on a device meets nothing of the host, and never waits for the device to tell it a number.

Torch's ``meta`` device stands in for a GPU: mixing its tensors with the host's raises as on CUDA,
and so does reading a number from it.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import nn

from bench.data.mixture import GaussianMixture
from bench.formulations.grammar import path
from bench.metrics.extractors import extract
from bench.metrics.extractors.random_conv import RandomConvolutions
from bench.models.exact import ExactModel
from bench.models.path_model import PathModel, build_network
from bench.models.paths import Path
from bench.registry import discover
from bench.sampling.path_change import PathChange
from bench.sampling.sample import Flow, Request, sample
from bench.sampling.solvers.catalogue import SOLVERS, Solver
from bench.sampling.straightness import LOG_SNR_LIMIT

DEVICE = torch.device("meta")
SHAPE, COUNT, BATCH = (1, 8, 8), 6, 4
SIZE = {"channels": 8, "multipliers": (1, 2), "blocks": 1, "attention": (), "head": 8}
FIXED = sorted(name for name, solver in SOLVERS.items() if solver.cost is not None)
MODELS = sorted(set(FIXED) - {"consistency", "flow_map"})


def network() -> nn.Module:
    return build_network("unet", SHAPE, {**SIZE, "embedding": 16}, 0).to(DEVICE)


def model(name: str = "linear") -> PathModel:
    return PathModel(network(), path(name).build(), "velocity", 0.5)


def sampled(flow: Flow, solver: Solver, shape: Sequence[int] = SHAPE) -> torch.device:
    noise = torch.zeros(COUNT, *shape, device=DEVICE)
    request = Request(solver, solver.spends(3))
    return sample(flow, noise, request, BATCH, lambda interval, part: noise[part]).end.device


@pytest.mark.parametrize("solver", MODELS)
def test_a_model_is_sampled_where_it_is(solver: str) -> None:
    assert sampled(model(), SOLVERS[solver]) == DEVICE


@pytest.mark.parametrize("name", sorted(discover("paths")))
def test_so_is_it_on_another_path(name: str) -> None:
    other: Path = path(name).build()
    flow = PathChange(model("vp"), other, (-LOG_SNR_LIMIT, LOG_SNR_LIMIT))
    for solver in ("euler", "heun2", "ddim", "dpmpp_2m"):
        assert sampled(flow, SOLVERS[solver]) == DEVICE


@pytest.mark.parametrize("wanted", ["velocity", "data"])
def test_so_is_the_exact_flow(wanted: str) -> None:
    law = GaussianMixture(torch.ones(2) / 2, torch.zeros(2, 2), torch.eye(2).expand(2, 2, 2))
    flow = ExactModel(law.to(DEVICE), path("vp").build())
    assert sampled(flow, SOLVERS["euler" if wanted == "velocity" else "ddim"], (2,)) == DEVICE


def test_features_are_computed_where_the_network_is_and_given_on_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A device has no features to give, so its tensors are told apart on the way."""
    met: list[torch.device] = []
    whole = RandomConvolutions().to(DEVICE)
    monkeypatch.setattr(
        whole,
        "features",
        lambda images: (met.append(images.device), torch.zeros(len(images), 3))[1],
    )
    features = extract(whole, torch.zeros(130, 3, 8, 8, dtype=torch.uint8))
    assert met == [DEVICE, DEVICE]
    assert features.shape == (130, 3)
    assert features.device.type == "cpu"


def test_a_number_that_is_read_from_the_device_is_noticed() -> None:
    with pytest.raises(RuntimeError, match="meta"):
        float(torch.zeros(1, device=DEVICE).sum())
    with pytest.raises(RuntimeError):
        torch.zeros(2, device=DEVICE) * torch.zeros(2)
