"""From a stage's declaration to its model, and back from its file."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from bench.data import DataSet
from bench.declarations import Stage
from bench.files import replacing
from bench.models import PathModel, build_network
from bench.spec import NetworkSpec


def assemble(network: NetworkSpec, dataset: DataSet, stage: Stage, seed: int) -> PathModel:
    """The untrained model of a stage; initial weights depend on the seed alone."""
    options = network.model_dump(exclude={"kind"})
    raw = build_network(network.kind, dataset.shape, options, seed)
    return PathModel(raw, stage.path.build(), stage.prediction, dataset.sigma_data)


def save_weights(network: nn.Module, path: Path) -> None:
    """Write the weights of a raw network."""
    tensors = {name: t.detach().cpu().contiguous() for name, t in network.state_dict().items()}
    with replacing(path) as temporary:
        save_file(tensors, temporary)


def load_weights(network: nn.Module, path: Path) -> None:
    """Read weights written by :func:`save_weights`; every name must match."""
    network.load_state_dict(load_file(path))


def trained(
    network: NetworkSpec,
    dataset: DataSet,
    stage: Stage,
    seed: int,
    checkpoint: Path,
    device: torch.device,
) -> PathModel:
    """The finished model of a stage, frozen, on ``device``."""
    model = assemble(network, dataset, stage, seed)
    load_weights(model.network, checkpoint)
    return model.to(device).eval().requires_grad_(False)
