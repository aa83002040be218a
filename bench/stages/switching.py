"""Switches of the fast path that models are sampled with, in the sweep and where it is timed."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.layout import Layout
from bench.spec import Experiment
from bench.stages.job import about_choice

if TYPE_CHECKING:
    import torch

    from bench.acceleration import Turn
    from bench.data import DataSet
    from bench.declarations import Formulation
    from bench.models import PathModel

EVALUATIONS = 4
"""Evaluations of the model between two looks at the clock, where switches are compared."""


def network_batch(formulation: Formulation, batch_size: int) -> int:
    """Samples that reach the network at once in a whole batch: guidance asks it twice."""
    conditional = formulation.conditional
    guided = conditional is not None and conditional.guidance != 1.0
    return batch_size * (2 if guided else 1)


def accelerate(model: PathModel, on: Sequence[str], batch: int) -> None:
    """Switch on what makes the model's network faster, for so many samples at once."""
    from bench.acceleration import arrange, compile_forward

    arrange(model.network, on)
    if "compile" in on:
        compile_forward(model.network, batch=batch)


def switches(
    experiment: Experiment,
    layout: Layout,
    dataset: str,
    label: str,
    model: PathModel,
    data: DataSet,
    device: torch.device,
) -> tuple[str, ...]:
    """Switches of the fast path that a model is sampled with; measured now, if they have to be.

    A network that somebody else has trained is sampled as it is.
    """
    from bench.acceleration import choose, remembered

    asked = experiment.training.acceleration
    if label in experiment.models or asked == "off":
        return ()
    if asked != "auto":
        return tuple(asked)
    if device.type == "cpu":
        return ()
    batch = network_batch(experiment.formulation(label), experiment.sweep.batch_size)
    return remembered(
        layout.acceleration(dataset, label, "sampling"),
        about_choice(experiment, dataset, label, device)
        | {"batch_size": experiment.sweep.batch_size},
        lambda: choose(lambda on: _turn(model, data.shape, batch, device, on)),
    ).on


def _turn(
    model: PathModel, shape: Sequence[int], batch: int, device: torch.device, on: Sequence[str]
) -> Turn:
    """A few evaluations of a copy of a model at a time, with some switches on."""
    import torch

    from bench.budget import counted, device_clock
    from bench.streams import stream

    tried = copy.copy(model)
    tried.network = copy.deepcopy(model.network)
    accelerate(tried, on, batch)
    x = torch.randn(batch, *shape, generator=stream("acceleration")).to(device)
    t = torch.tensor([sum(model.path.interval) / 2], dtype=torch.float64)

    def turn() -> tuple[float, float]:
        start = device_clock(device)
        with torch.no_grad(), counted():
            for _ in range(EVALUATIONS):
                estimate = tried.data(x, t)
        return device_clock(device) - start, float(estimate.square().mean())

    return turn
