"""Columns that say where a record comes from. Torch-free."""

from __future__ import annotations

import re
from typing import Any

from bench.experiment.cells import Cell
from bench.experiment.layout import LEDGER, Layout
from bench.experiment.spec import Experiment
from bench.files import read_json
from bench.formulations.grammar import Part

FOREIGN = "foreign"
"""Formulation, in the records, of a network that somebody else has trained."""


def experiment_columns(experiment: Experiment) -> dict[str, Any]:
    """Columns that every record of an experiment shares."""
    return {"experiment": experiment.name, "config_digest": experiment.digest}


def model_columns(
    experiment: Experiment, layout: Layout, dataset: str, label: str, seed: int
) -> dict[str, Any]:
    """Columns that describe a finished model: its composition and what it has spent."""
    formulation = experiment.formulation(label)
    final = formulation.final
    return {
        "dataset": dataset,
        "label": label,
        "formulation": formulation_name(experiment, label),
        "stage": final.name,
        "coupling": final.coupling.name,
        "prediction": final.prediction,
        "time_sampling": _described(final.part("time_sampling")),
        "weighting": _described(final.part("weighting")),
        "guidance": None if formulation.conditional is None else formulation.conditional.guidance,
        "train_seed": seed,
        "sampler": formulation.sampler,
        "trained_path": final.path.name,
        "sampled_path": final.path.name,
        "precision": experiment.training.precision,
        **_budget_columns(experiment, layout, dataset, label, seed),
    }


def formulation_name(experiment: Experiment, label: str) -> str:
    """The formulation of a label, or ``foreign`` with the forwards of an evaluation."""
    if label in experiment.models:
        count = experiment.models[label].forwards
        return FOREIGN if count == 1 else f"{FOREIGN}(forwards={count})"
    return experiment.formulations[label].formulation


def forwards(formulation: object) -> int:
    """Forwards of an evaluation, from a name that :func:`formulation_name` gave."""
    match = re.fullmatch(rf"{FOREIGN}\(forwards=(\d+)\)", str(formulation))
    return int(match[1]) if match else 1


def _budget_columns(
    experiment: Experiment, layout: Layout, dataset: str, label: str, seed: int
) -> dict[str, Any]:
    """What a model was given and has spent; of a foreign one nothing is known."""
    if label in experiment.models:
        return {}
    formulation = experiment.formulation(label)
    ledger = read_json(layout.stage(dataset, label, seed, formulation.final.name) / LEDGER)
    return {
        "budget_unit": experiment.budget.unit,
        "accounting": experiment.budget.accounting,
        "split": " ".join(f"{stage.name}={stage.share:g}" for stage in formulation.stages),
        "budget_total": experiment.amount(dataset, label),
        "spent_own": ledger["spent_own"],
        "spent_upstream": ledger["spent_upstream"],
    }


def _described(part: Part | None) -> str | None:
    return None if part is None else part.describe()


def cell_columns(cell: Cell) -> dict[str, Any]:
    """Columns that say how samples were asked for."""
    path = {} if cell.path is None else {"sampled_path": cell.path}
    return path | {
        "solver": cell.solver,
        "grid": cell.grid,
        "nfe_requested": cell.nfe,
        "tolerance": cell.tolerance,
    }
