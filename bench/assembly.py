"""From a stage's declaration to its model, and back from its file."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from bench.data import DataSet
from bench.declarations import Stage
from bench.files import replacing
from bench.models import CONDITIONS, PathModel, build_network
from bench.spec import NetworkSpec


def assemble(
    network: NetworkSpec, dataset: DataSet, stage: Stage, seed: int, *, classes: int = 0
) -> PathModel:
    """The untrained model of a stage; initial weights depend on the seed alone.

    Args:
        network, dataset, stage, seed: what it is made from.
        classes: number of classes that the network is told, 0 for none.
    """
    raw = build_network(
        network.kind,
        dataset.shape,
        network.model_dump(exclude={"kind"}),
        seed,
        conditions=CONDITIONS[stage.condition],
        classes=classes,
    )
    path = stage.path.build()
    return PathModel(raw, path, stage.prediction, dataset.sigma_data, stage.condition)


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
    *,
    classes: int = 0,
) -> PathModel:
    """The finished model of a stage, frozen, on ``device``."""
    model = assemble(network, dataset, stage, seed, classes=classes)
    load_weights(model.network, checkpoint)
    return frozen(model, device)


def frozen(model: PathModel, device: torch.device) -> PathModel:
    """The model, its network on ``device`` and never to be trained."""
    model.network.to(device).eval().requires_grad_(False)
    return model
