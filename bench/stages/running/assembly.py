"""From a stage's declaration to its model, and back from its file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from bench.data.dataset import DataSet
from bench.experiment.layout import Layout
from bench.experiment.spec import Experiment, NetworkSpec
from bench.files import replacing
from bench.formulations.grammar import Train
from bench.metrics.context import HOST, References, Settings
from bench.models.path_model import CONDITIONS, PathModel, build_network
from bench.registry import module
from bench.stages.running.job import CHECKPOINT

if TYPE_CHECKING:
    from bench.experiment.layout import Layout
    from bench.experiment.spec import Experiment

if TYPE_CHECKING:
    import torch

    from bench.data.dataset import DataSet
    from bench.models.path_model import PathModel


def assemble(
    network: NetworkSpec, dataset: DataSet, stage: Train, seed: int, *, classes: int = 0
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
    stage: Train,
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


def references(
    experiment: Experiment,
    layout: Layout,
    dataset: DataSet,
    device: torch.device = HOST,
) -> References:
    """The references of a data set, with the sizes and the extractor of an experiment.

    Where held-out samples have no end, every block of generated samples meets one of its own.
    """
    extractor = experiment.described(dataset.name).extractor
    sweep, sizes = experiment.sweep_of(dataset.name), experiment.datasets[dataset.name].sizes
    count = max(sweep.block, *sweep.samples.values())
    return References(
        dataset.at_least(train=count, held_out=count),
        Settings(
            block=sweep.block,
            kid_subsets=experiment.metrics.kid_subsets,
            kid_subset_size=experiment.metrics.kid_subset_size,
            neighbours=experiment.metrics.neighbours,
            flip=experiment.training.flip,
            bandwidths=() if sizes is None else tuple(sizes.bandwidths),
            assigned=None if sizes is None else sizes.assigned,
        ),
        None if extractor is None else layout.extractor_weights(dataset.name),
        extractor,
        layout.features,
        device,
    )


def model(
    experiment: Experiment,
    layout: Layout,
    data: DataSet,
    label: str,
    seed: int,
    device: torch.device,
) -> PathModel:
    """The model that a label's last stage has left for a seed, frozen, on ``device``."""
    formulation = experiment.formulation(label)
    final = formulation.final
    if final.kind == "foreign":
        # By name, so that its code is no part of what our own models depend on.
        foreign_model: PathModel = module("stages", "foreign").model(
            experiment, data, label, seed, device
        )
        return foreign_model
    return trained(
        experiment.datasets[data.name].network,
        data,
        formulation.training(final.name),
        seed,
        layout.stage(data.name, label, seed, final.name) / CHECKPOINT,
        device,
        classes=experiment.classes(data.name, label),
    )
