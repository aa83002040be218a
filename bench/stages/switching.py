"""What makes sampling faster: switches of the fast path, and scores beside the next samples."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from bench import digests
from bench.cells import SCORING, Cell
from bench.journal import Entry
from bench.layout import Layout
from bench.records import Record
from bench.spec import Experiment
from bench.stages.common import Seconds
from bench.stages.job import about_choice

if TYPE_CHECKING:
    import torch

    from bench.acceleration import Turn
    from bench.data import DataSet
    from bench.declarations import Formulation
    from bench.models import PathModel
    from bench.sweeping import Sweep

OVERLAP = "overlap"

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


def overlaps(
    experiment: Experiment,
    layout: Layout,
    dataset: str,
    sweep: Sweep,
    cells: Sequence[Cell],
    seconds: Seconds,
) -> bool:
    """Whether cells are scored on a thread of their own while the next ones are sampled.

    Where nothing is named that is measured, once a data set and GPU, with one of the cells; on the
    CPU each job has its cores for itself, and it is off.
    """
    from bench.acceleration import choose, remembered

    asked = experiment.sweep.overlap
    if asked != "auto" or sweep.device.type == "cpu":
        return asked == "on"
    known = [cell for cell in cells if cell.nfe and not cell.refused and cell.path is None]
    if not known:
        return False
    by_cost = sorted(known, key=lambda cell: cell.nfe or 0)
    cell = replace(by_cost[len(by_cost) // 2], bank=SCORING)
    return (
        OVERLAP
        in remembered(
            layout.acceleration(dataset, "every model", OVERLAP),
            about_scores(experiment, dataset, sweep.device),
            lambda: choose(partial(_round, sweep, cell, seconds), (OVERLAP,)),
        ).on
    )


def about_scores(experiment: Experiment, dataset: str, device: torch.device) -> dict[str, str]:
    """What the choice of :func:`overlaps` holds for: the GPU, the network's size, the metrics."""
    import torch

    work = digests.floor_digest(experiment, dataset)
    return {"device": torch.cuda.get_device_name(device), "work": work}


def _round(sweep: Sweep, cell: Cell, seconds: Seconds, on: Sequence[str]) -> Turn:
    """Two small cells at a time, sampled and scored; with :data:`OVERLAP` beside each other."""
    from bench.budget import device_clock
    from bench.overlap import Overlap

    small, device = sweep.rehearsal(), sweep.device

    def turn() -> tuple[float, float]:
        rows: list[Record] = []
        start = device_clock(device)
        with Overlap[Entry](
            seconds, "sampling", "metrics", beside=OVERLAP in on, device=device
        ) as overlap:
            for _ in range(2):
                overlap.finish(small.draw(cell, {}, ""), lambda entry: rows.extend(entry.rows))
        return device_clock(device) - start, sum(float(row.get("value") or 0) for row in rows)

    return turn


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
