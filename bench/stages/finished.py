"""The finished model of a label, wherever it was trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.assembly import trained
from bench.layout import Layout
from bench.registry import module
from bench.spec import Experiment
from bench.stages.job import CHECKPOINT

if TYPE_CHECKING:
    import torch

    from bench.data import DataSet
    from bench.models import PathModel


def model(
    experiment: Experiment,
    layout: Layout,
    data: DataSet,
    label: str,
    seed: int,
    device: torch.device,
) -> PathModel:
    """The model that a label's last stage has left for a seed, frozen, on ``device``."""
    final = experiment.formulation(label).final
    if final.kind == "foreign":
        # By name, so that its code is no part of what our own models depend on.
        found: PathModel = module("stages", "foreign").model(experiment, data, label, seed, device)
        return found
    return trained(
        experiment.datasets[data.name].network,
        data,
        final,
        seed,
        layout.stage(data.name, label, seed, final.name) / CHECKPOINT,
        device,
        classes=experiment.classes(data.name, label),
    )
