"""What a result depends on, as digests: the reason why a stage runs again, or does not.

A stage's digest covers four things: the code that computes it, its slice of the experiment, the
digests of the stages it reads, and the versions of the numeric packages.

The code is what the stage's verb and the parts that it declares compute, wherever their definitions
stand (:mod:`bench.experiment.code`). Parts are named in declarations and imported when a stage
runs, so that a training depends on its own path and coupling and on no other. Definitions that are
marked :func:`bench.registry.aside` are passed by: what they decide reaches a digest as values, in
the slice of the experiment.

The number and choice of cells is no part of a cell's digest, nor are the other seeds of a
training's: adding one computes only that one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

from bench.data.dataset import numeric_options
from bench.experiment import code, slices
from bench.experiment.cells import exact_flows
from bench.experiment.definitions import Definition
from bench.experiment.roots import (
    grid,
    member,
    method,
    of_metrics,
    of_part,
    of_paths,
    of_stage,
)
from bench.experiment.spec import Experiment
from bench.files import digest_of
from bench.formulations.grammar import TABULATED, Part, Stage
from bench.registry import aside
from bench.sampling.solvers.catalogue import GRIDS, SOLVERS

_SELECTION = "bench.evidence.statistics.selection"
_RULE = ("exact_cells", "best_samplers")
"""What chooses the samplers that are scored, from the cells of the screens."""

PACE = {"overlap"}
"""Keys of a sweep that change how fast it is and no value."""

_DATA = ("numpy", "scikit-learn", "torch")
_TRAINING = ("numpy", "scipy", "torch")
_SAMPLING = (*_TRAINING, "torchdiffeq")
_EVALUATION = (*_SAMPLING, "pot", "torch-fidelity")


def versions(*packages: str) -> dict[str, str]:
    """Public versions of installed packages; a local part such as ``+cpu`` names a build."""
    return {name: _public_version(name) for name in packages}


@cache
def _public_version(package: str) -> str:
    """Version of a package, read once: each reading parses all that it says of itself."""
    return version(package).split("+")[0]


# --- stages -----------------------------------------------------------------------------------


@aside("a digest decides whether something is computed, not what")
def data_digest(experiment: Experiment, dataset: str) -> str:
    """Digest of a prepared data set."""
    return digest_of(
        {
            "code": code.digest(*member("stages", "prepare"), *member("data", dataset)),
            "options": numeric_options(dataset, experiment.datasets[dataset].options),
            "versions": versions(*_DATA),
        }
    )


@aside("a digest decides whether something is computed, not what")
def extractor_digest(experiment: Experiment, dataset: str) -> str | None:
    """Digest of a data set's feature extractor, or None where it has none."""
    description = experiment.described(dataset)
    name = description.extractor
    if name is None:
        return None
    unread = {"weights"} if description.unlimited else {"weights", "samples"}
    return digest_of(
        {
            "code": code.digest(*member("stages", "extractor"), *member("extractors", name)),
            "data": data_digest(experiment, dataset),
            "settings": experiment.extractor.model_dump(exclude=unread),
            "versions": versions(*_TRAINING),
        }
    )


@aside("a digest decides whether something is computed, not what")
def calibration_digest(experiment: Experiment, dataset: str, label: str) -> str:
    """Digest of the measurement of seconds a step, for budgets in device seconds."""
    stages = experiment.formulation(label).stages
    parts = [root for stage in stages for root in of_stage(experiment, dataset, stage)]
    return digest_of(
        {
            "code": code.digest(*member("stages", "calibrate"), *parts),
            "data": data_digest(experiment, dataset),
            "stages": [slices.declared(stage) for stage in stages],
            "training": slices.training(experiment, dataset, label),
            "versions": versions(*_SAMPLING),
        }
    )


@aside("a digest decides whether something is computed, not what")
def stage_digest(
    experiment: Experiment,
    dataset: str,
    label: str,
    stage: str,
    seed: int,
    upstream: dict[str, str] | None = None,
) -> str:
    """Digest of one stage of a formulation on one seed, what it reads included.

    ``upstream`` holds digests of its stages that were taken already, and gets those taken here: a
    chain of flows reads every stage on several ways.
    """
    declared = experiment.formulation(label).stage(stage)
    upstream = {} if upstream is None else upstream
    for name in declared.upstream:
        if name not in upstream:
            upstream[name] = stage_digest(experiment, dataset, label, name, seed, upstream)
    if declared.kind == "foreign":
        return _foreign_digest(experiment, dataset, label, declared, seed)
    budget = experiment.budget
    calibrated = budget.unit == "device_seconds"
    return digest_of(
        {
            "code": code.digest(
                *member("stages", declared.kind), *of_stage(experiment, dataset, declared)
            ),
            "data": data_digest(experiment, dataset),
            "stage": slices.declared(declared),
            "training": slices.training(experiment, dataset, label),
            "budget": {
                "unit": budget.unit,
                "accounting": budget.accounting,
                "amount": experiment.amount(dataset, label),
                "planned": experiment.stage_budget(dataset, label, stage),
                "calibration": calibration_digest(experiment, dataset, label)
                if calibrated
                else None,
            },
            "seed": seed,
            "upstream": {name: upstream[name] for name in declared.upstream},
            "versions": versions(*(_TRAINING if declared.kind == "train" else _SAMPLING)),
        }
    )


@aside("a digest decides whether something is computed, not what")
def _foreign_digest(
    experiment: Experiment, dataset: str, label: str, declared: Stage, seed: int
) -> str:
    """Digest of a network that somebody else has trained: its state says what it is."""
    model, place = experiment.models[label], experiment.seeds.index(seed)
    return digest_of(
        {
            "code": code.digest(*member("stages", declared.kind), *of_part(declared.path)),
            "data": data_digest(experiment, dataset),
            "stage": slices.declared(declared),
            "factory": model.factories[place],
            "state": model.states[place],
            "forwards": model.forwards,
            "versions": versions(*_SAMPLING),
        }
    )


@aside("a digest decides whether something is computed, not what")
def sweep_base(
    experiment: Experiment, dataset: str, label: str, seed: int, verb: str = "sweep"
) -> str:
    """Digest of what all cells of a sweep share: the model, the samples and the metrics.

    ``verb`` is the stage that samples them, ``sweep`` or ``screen``.
    """
    final = experiment.formulation(label).final
    return digest_of(
        {
            "code": code.digest(
                *member("stages", verb),
                *of_stage(experiment, dataset, final),
                *of_metrics(experiment, dataset),
            ),
            "model": stage_digest(experiment, dataset, label, final.name, seed),
            "guidance": slices.guidance(experiment, label),
            "evaluation": _evaluation(experiment, dataset),
        }
        | ({"only": experiment.described(dataset).primary} if verb == "screen" else {})
    )


@aside("a digest decides whether something is computed, not what")
def cell_digest(base: str, cell: Mapping[str, Any]) -> str:
    """Digest of one cell.

    Args:
        base: digest of what the cells of a job share.
        cell: what sets it apart, JSON-able; its ``solver`` names one of the catalogue, or None.
    """
    solver = SOLVERS.get(cell.get("solver") or "")
    how = None
    if solver is not None:
        how = [*solver.signature, code.digest(*method(solver), *grid(cell.get("grid")))]
    # The table of a foreign path is a part of its model, and its code of the base.
    named = (cell.get("path"), *cell.get("among", ()))
    paths = [name for name in named if name not in (None, TABULATED.name)]
    changed = code.digest(*of_paths(paths)) if paths else None
    return digest_of({"base": base, "cell": dict(cell), "how": how, "paths": changed})


@aside("a digest decides whether something is computed, not what")
def sweep_digest(experiment: Experiment, dataset: str, label: str, seed: int) -> str:
    """Digest of a whole sweep: its base and the choice of cells.

    Where samplers are screened the choice is what the screens of all seeds depend on, the rule and
    how many it takes; what the screens have found is no part of it.
    """
    base = sweep_base(experiment, dataset, label, seed)
    whole = {"base": base, "cells": slices.cells(experiment), "view": slices.view(experiment)}
    screen = experiment.sweep.screen
    if screen is not None:
        whole["screen"] = {
            "settings": screen.model_dump(),
            "by": experiment.described(dataset).primary,
            "rule": code.digest(*(Definition(_SELECTION, name) for name in _RULE)),
            "read": {
                str(other): screen_digest(experiment, dataset, label, other)
                for other in experiment.seeds
            },
        }
    return digest_of(whole)


@aside("a digest decides whether something is computed, not what")
def screen_digest(experiment: Experiment, dataset: str, label: str, seed: int) -> str:
    """Digest of a screen: its base and the choice of cells, of which the best are scored later."""
    base = sweep_base(experiment, dataset, label, seed, "screen")
    return digest_of({"base": base, "cells": slices.cells(experiment)})


@aside("a digest decides whether something is computed, not what")
def likelihood_digest(experiment: Experiment, dataset: str, label: str, seed: int) -> str:
    """Digest of the likelihood of held-out data under one model."""
    final, settings = experiment.formulation(label).final, experiment.likelihood
    return digest_of(
        {
            "code": code.digest(
                *member("stages", "likelihood"), *of_stage(experiment, dataset, final)
            ),
            "model": stage_digest(experiment, dataset, label, final.name, seed),
            "guidance": slices.guidance(experiment, label),
            "data": data_digest(experiment, dataset),
            "settings": None if settings is None else settings.model_dump(),
            "versions": versions(*_SAMPLING),
        }
    )


@aside("a digest decides whether something is computed, not what")
def convergence_digest(paths: Sequence[str]) -> str:
    """Digest of the orders of convergence that are measured on some paths."""
    measured = [solver for solver in SOLVERS.values() if solver.order is not None]
    methods = [root for solver in measured for root in method(solver)]
    return digest_of(
        {
            "code": code.digest(*member("stages", "convergence"), *of_paths(paths), *methods),
            "paths": list(paths),
            "solvers": {solver.name: solver.signature for solver in measured},
            "versions": versions(*_SAMPLING),
        }
    )


@aside("a digest decides whether something is computed, not what")
def oracle_base(experiment: Experiment, dataset: str, path: Part) -> str:
    """Digest of what all cells of the exact field on a path share."""
    return digest_of(
        {
            "code": code.digest(
                *member("stages", "oracle"), *of_part(path), *of_metrics(experiment, dataset)
            ),
            "path": slices.named(path),
            "seed": experiment.seeds[0],
            "evaluation": _evaluation(experiment, dataset),
        }
    )


@aside("a digest decides whether something is computed, not what")
def oracle_digest(experiment: Experiment, dataset: str) -> str:
    """Digest of the exact field on a data set: its paths and the choice of cells."""
    flows = {
        flow.label: [
            oracle_base(experiment, dataset, flow.path),
            [cell.key() for cell in flow.cells],
        ]
        for flow in exact_flows(experiment)
    }
    return digest_of({"flows": flows, "view": slices.view(experiment)})


@aside("a digest decides whether something is computed, not what")
def floor_digest(experiment: Experiment, dataset: str) -> str:
    """Digest of the floor: real against real, fitted Gaussian, untrained network."""
    network = experiment.datasets[dataset].network
    return digest_of(
        {
            "code": code.digest(
                *member("stages", "floor"),
                *(root for name in GRIDS for root in grid(name)),
                *member("networks", network.kind),
                *of_metrics(experiment, dataset),
            ),
            "network": network.model_dump(),
            "repeats": experiment.metrics.floor_repeats,
            "ranked": experiment.metrics.floor_repeats_ranked,
            "evaluation": _evaluation(experiment, dataset),
        }
    )


@aside("a digest decides whether something is computed, not what")
def timing_base(experiment: Experiment, dataset: str, label: str, seed: int) -> str:
    """Digest of what all timed cells of a model share: the model, and how it is timed."""
    final = experiment.formulation(label).final
    return digest_of(
        {
            "code": code.digest(*member("stages", "timing"), *of_stage(experiment, dataset, final)),
            "model": stage_digest(experiment, dataset, label, final.name, seed),
            "guidance": slices.guidance(experiment, label),
            "timing": experiment.timing.model_dump(exclude={"seeds"}),
            "versions": versions(*_SAMPLING),
        }
    )


@aside("a digest decides whether something is computed, not what")
def timing_digest(experiment: Experiment, dataset: str) -> str:
    """Digest of all seconds a sample on a data set: the models and the choice of cells."""
    bases = [
        timing_base(experiment, dataset, label, seed)
        for seed in experiment.timed_seeds
        for label in experiment.labels
    ]
    return digest_of({"bases": bases, "cells": slices.cells(experiment)})


# --- slices -----------------------------------------------------------------------------------


FLOOR_REPEATS = {"floor_repeats", "floor_repeats_ranked"}
"""Settings of the metrics that only the floor reads."""


def _evaluation(experiment: Experiment, dataset: str) -> dict[str, Any]:
    sizes = experiment.datasets[dataset].sizes
    aside_keys = slices.CHOICES | PACE | {"screen"}
    own_sizes = {} if sizes is None else sizes.model_dump(include={"bandwidths", "assigned"})
    return {
        "data": data_digest(experiment, dataset),
        "extractor": extractor_digest(experiment, dataset),
        "sweep": experiment.sweep_of(dataset).model_dump(exclude=aside_keys),
        "metrics": experiment.metrics.model_dump(exclude=FLOOR_REPEATS)
        | {"flip": experiment.training.flip}
        | own_sizes,
        "versions": versions(*_EVALUATION),
    }
