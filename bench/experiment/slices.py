"""Slices of an experiment as plain values: what of it a result depends on. For its digests."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from bench.experiment import code
from bench.experiment.roots import of_paths
from bench.experiment.spec import Experiment
from bench.formulations.grammar import Part, Stage

CHOICES = {"solvers", "grids", "nfe", "tolerances", "few_step_nfe"}
"""Keys of a sweep that choose cells and change none."""


def named(part: Part) -> list[Any]:
    """A part as plain values, without the place of its code."""
    return [f"{part.room}/{part.name}", dict(part.options)]


def declared(stage: Stage) -> dict[str, Any]:
    """A stage's declaration as plain values; its share is in the budget."""
    values = {"kind": stage.kind} | {
        field.name: getattr(stage, field.name) for field in fields(stage)
    }
    del values["share"], values["fixed"]
    return {
        name: named(value) if isinstance(value, Part) else value for name, value in values.items()
    }


def training(experiment: Experiment, dataset: str, label: str) -> dict[str, Any]:
    """Network and settings of a training; how seeds share jobs changes no number."""
    settings = experiment.training.model_dump(exclude={"seeds_per_job"})
    rate = experiment.learning_rate(dataset, label)
    network = experiment.datasets[dataset].network.model_dump()
    conditional = experiment.formulation(label).conditional
    told = {} if conditional is None else {"label dropout": conditional.dropout}
    return settings | {"learning_rate": rate, "network": network} | told


def guidance(experiment: Experiment, label: str) -> float | None:
    """Guidance of a label's samples, or None where it is told no classes."""
    conditional = experiment.formulation(label).conditional
    return None if conditional is None else conditional.guidance


def view(experiment: Experiment) -> dict[str, Any] | None:
    """The unified view, with the code of its paths."""
    view = experiment.unified_view
    if view is None:
        return None
    return view.model_dump() | {"code": code.digest(*of_paths(view.paths))}


def cells(experiment: Experiment) -> dict[str, Any]:
    """What chooses the cells of a sweep."""
    return experiment.sweep.model_dump(include=CHOICES)
