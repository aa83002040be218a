"""What a result depends on, as digests: the reason why a stage runs again, or does not.

A stage's digest covers four things: the code that computes it, its slice of the experiment, the
digests of the stages it reads, and the versions of the numeric packages.

The code is the static import closure, inside ``bench``, of the stage's own module and of the parts
that it declares. Parts are named in declarations and imported when a stage runs, so that a
training's closure holds its own path and coupling and no other's. Modules are hashed as syntax
trees without docstrings, comments and type-checking imports: an edit that changes no computation
changes no digest.

Modules in :data:`NOT_NUMERIC` are left out on purpose, with all that they import. What they decide
(which experiment, which parts, where files lie, what is printed) reaches a digest as values, in the
slice of the experiment; their code would only make every edit of a default or a line of progress
retrain everything. A change there that does change numbers must change a value of the slice.

The number and choice of cells is no part of a cell's digest, nor are the other seeds of a
training's: adding one computes only that one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.cells import exact_flows
from bench.data import numeric_options
from bench.declarations import TABULATED, Part, Stage
from bench.files import digest_of
from bench.metrics import applicable
from bench.solvers.catalogue import SOLVERS
from bench.spec import Experiment

NOT_NUMERIC = frozenset(
    f"bench.{name}" if name else "bench"
    for name in (
        "", "alive", "cells", "cli", "declarations", "devices", "digests", "downloads", "errors",
        "faults", "files", "formulations", "gpus", "layout", "plan", "progress", "report",
        "sections", "solvers.catalogue", "spec", "stages", "stages.common",
    )
)  # fmt: skip

CHOICES = {"solvers", "grids", "nfe", "tolerances", "few_step_nfe"}
"""Keys of a sweep that choose cells and change none."""

PACE = {"overlap"}
"""Keys of a sweep that change how fast it is and no value."""

_DATA = ("numpy", "scikit-learn", "torch")
_TRAINING = ("numpy", "scipy", "torch")
_SAMPLING = (*_TRAINING, "torchdiffeq")
_EVALUATION = (*_SAMPLING, "pot", "torch-fidelity")

_PACKAGES = Path(__file__).parent.parent


# --- code -------------------------------------------------------------------------------------


def closure(*modules: str) -> tuple[str, ...]:
    """Dotted names of ``modules`` and of all they import inside ``bench``, sorted.

    Raises:
        ModuleNotFoundError: one of them does not exist.
    """
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in found and module not in NOT_NUMERIC:
            found.add(module)
            waiting += _imports(module)
    return tuple(sorted(found))


def code_digest(*modules: str) -> str:
    """Digest of the code of ``modules`` and of all they import inside ``bench``."""
    return digest_of({module: _content(module) for module in closure(*modules)})


def _file(module: str) -> Path | None:
    base = _PACKAGES.joinpath(*module.split("."))
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


@cache
def _tree(module: str) -> ast.Module:
    path = _file(module)
    if path is None:
        raise ModuleNotFoundError(f"no module {module!r} below {_PACKAGES}")
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def _imports(module: str) -> frozenset[str]:
    """Modules of ``bench`` that ``module`` imports anywhere, and the packages it lies in."""
    names = {module}
    for node in _nodes(_tree(module)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    inside = {name for name in names if name.split(".")[0] == "bench"}
    parents = {
        name.rsplit(".", count)[0] for name in inside for count in range(name.count(".") + 1)
    }
    return frozenset(name for name in inside | parents if _file(name))


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes that can run: those below ``if TYPE_CHECKING`` cannot."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not _is_type_checking(child):
            yield from _nodes(child)


@cache
def _content(module: str) -> str:
    return digest_of(_canonical(_tree(module)))


def _canonical(value: Any) -> Any:
    """A syntax tree as plain lists: no positions, no bare strings, no empty fields.

    Fields that a later Python adds are empty for older code, so that the form is the same under
    every version.
    """
    if isinstance(value, list):
        return [_canonical(item) for item in value if not _is_inert(item)]
    if isinstance(value, ast.AST):
        parts = {name: _canonical(item) for name, item in ast.iter_fields(value)}
        return [type(value).__name__, {n: v for n, v in parts.items() if v not in (None, [])}]
    return None if value is None else repr(value)


def _is_inert(node: Any) -> bool:
    bare_string = (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
    return bare_string or _is_type_checking(node)


def _is_type_checking(node: Any) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def versions(*packages: str) -> dict[str, str]:
    """Public versions of installed packages; a local part such as ``+cpu`` names a build."""
    return {name: version(name).split("+")[0] for name in packages}


# --- stages -----------------------------------------------------------------------------------


def data_digest(experiment: Experiment, dataset: str) -> str:
    """Digest of a prepared data set."""
    return digest_of(
        {
            "code": code_digest("bench.stages.prepare", f"bench.data.{dataset}"),
            "options": numeric_options(dataset, experiment.datasets[dataset].options),
            "versions": versions(*_DATA),
        }
    )


def extractor_digest(experiment: Experiment, dataset: str) -> str | None:
    """Digest of a data set's feature extractor, or None where it has none."""
    name = experiment.described(dataset).extractor
    if name is None:
        return None
    return digest_of(
        {
            "code": code_digest("bench.stages.extractor", f"bench.extractors.{name}"),
            "data": data_digest(experiment, dataset),
            "settings": experiment.extractor.model_dump(exclude={"weights"}),
            "versions": versions(*_TRAINING),
        }
    )


def calibration_digest(experiment: Experiment, dataset: str, label: str) -> str:
    """Digest of the measurement of seconds a step, for budgets in device seconds."""
    stages = experiment.formulation(label).stages
    modules = {name for stage in stages for name in _modules(experiment, dataset, stage)}
    return digest_of(
        {
            "code": code_digest("bench.stages.calibrate", *sorted(modules)),
            "data": data_digest(experiment, dataset),
            "stages": [_declared(stage) for stage in stages],
            "training": _training(experiment, dataset, label),
            "versions": versions(*_SAMPLING),
        }
    )


def stage_digest(experiment: Experiment, dataset: str, label: str, stage: str, seed: int) -> str:
    """Digest of one stage of a formulation on one seed, what it reads included."""
    declared = experiment.formulation(label).stage(stage)
    if declared.kind == "foreign":
        return _foreign_digest(experiment, dataset, label, declared, seed)
    budget = experiment.budget
    calibrated = budget.unit == "device_seconds"
    return digest_of(
        {
            "code": code_digest(
                f"bench.stages.{declared.kind}", *_modules(experiment, dataset, declared)
            ),
            "data": data_digest(experiment, dataset),
            "stage": _declared(declared),
            "training": _training(experiment, dataset, label),
            "budget": {
                "unit": budget.unit,
                "accounting": budget.accounting,
                "amount": budget.amount[dataset],
                "planned": experiment.stage_budget(dataset, label, stage),
                "calibration": calibration_digest(experiment, dataset, label)
                if calibrated
                else None,
            },
            "seed": seed,
            "upstream": {
                name: stage_digest(experiment, dataset, label, name, seed)
                for name in declared.upstream
            },
            "versions": versions(*(_TRAINING if declared.kind == "train" else _SAMPLING)),
        }
    )


def _foreign_digest(
    experiment: Experiment, dataset: str, label: str, declared: Stage, seed: int
) -> str:
    """Digest of a network that somebody else has trained: its state says what it is."""
    model, place = experiment.models[label], experiment.seeds.index(seed)
    return digest_of(
        {
            "code": code_digest(f"bench.stages.{declared.kind}", declared.path.module),
            "data": data_digest(experiment, dataset),
            "stage": _declared(declared),
            "factory": model.factories[place],
            "state": model.states[place],
            "forwards": model.forwards,
            "versions": versions(*_SAMPLING),
        }
    )


def sweep_base(experiment: Experiment, dataset: str, label: str, seed: int) -> str:
    """Digest of what all cells of a sweep share: the model, the samples and the metrics."""
    final = experiment.formulation(label).final
    return digest_of(
        {
            "code": code_digest(
                "bench.stages.sweep",
                *_modules(experiment, dataset, final),
                *_metric_modules(experiment, dataset),
            ),
            "model": stage_digest(experiment, dataset, label, final.name, seed),
            "guidance": _guidance(experiment, label),
            "evaluation": _evaluation(experiment, dataset),
        }
    )


def cell_digest(base: str, cell: Mapping[str, Any]) -> str:
    """Digest of one cell.

    Args:
        base: digest of what the cells of a job share.
        cell: what sets it apart, JSON-able; its ``solver`` names one of the catalogue, or None.
    """
    solver = SOLVERS.get(cell.get("solver") or "")
    how = None
    if solver is not None:
        how = [*solver.signature, code_digest(solver.module)]
    # The table of a foreign path is a part of its model, and its code of the base.
    named = (cell.get("path"), *cell.get("among", ()))
    paths = [name for name in named if name not in (None, TABULATED.name)]
    code = code_digest(*(f"bench.paths.{name}" for name in paths)) if paths else None
    return digest_of({"base": base, "cell": dict(cell), "how": how, "paths": code})


def sweep_digest(experiment: Experiment, dataset: str, label: str, seed: int) -> str:
    """Digest of a whole sweep: its base and the choice of cells."""
    base = sweep_base(experiment, dataset, label, seed)
    return digest_of({"base": base, "cells": _cells(experiment), "view": _view(experiment)})


def likelihood_digest(experiment: Experiment, dataset: str, label: str, seed: int) -> str:
    """Digest of the likelihood of held-out data under one model."""
    final, settings = experiment.formulation(label).final, experiment.likelihood
    return digest_of(
        {
            "code": code_digest("bench.stages.likelihood", *_modules(experiment, dataset, final)),
            "model": stage_digest(experiment, dataset, label, final.name, seed),
            "guidance": _guidance(experiment, label),
            "data": data_digest(experiment, dataset),
            "settings": None if settings is None else settings.model_dump(),
            "versions": versions(*_SAMPLING),
        }
    )


def convergence_digest(paths: Sequence[str]) -> str:
    """Digest of the orders of convergence that are measured on some paths."""
    modules = [Part("paths", name).module for name in paths]
    measured = [solver for solver in SOLVERS.values() if solver.order is not None]
    return digest_of(
        {
            "code": code_digest(
                "bench.stages.convergence", *modules, *(solver.module for solver in measured)
            ),
            "paths": list(paths),
            "solvers": {solver.name: solver.signature for solver in measured},
            "versions": versions(*_SAMPLING),
        }
    )


def oracle_base(experiment: Experiment, dataset: str, path: Part) -> str:
    """Digest of what all cells of the exact field on a path share."""
    return digest_of(
        {
            "code": code_digest(
                "bench.stages.oracle", path.module, *_metric_modules(experiment, dataset)
            ),
            "path": [path.module, dict(path.options)],
            "seed": experiment.seeds[0],
            "evaluation": _evaluation(experiment, dataset),
        }
    )


def oracle_digest(experiment: Experiment, dataset: str) -> str:
    """Digest of the exact field on a data set: its paths and the choice of cells."""
    flows = {
        flow.label: [
            oracle_base(experiment, dataset, flow.path),
            [cell.key() for cell in flow.cells],
        ]
        for flow in exact_flows(experiment)
    }
    return digest_of({"flows": flows, "view": _view(experiment)})


def floor_digest(experiment: Experiment, dataset: str) -> str:
    """Digest of the floor: real against real, fitted Gaussian, untrained network."""
    network = experiment.datasets[dataset].network
    return digest_of(
        {
            "code": code_digest(
                "bench.stages.floor",
                f"bench.networks.{network.kind}",
                *_metric_modules(experiment, dataset),
            ),
            "network": network.model_dump(),
            "evaluation": _evaluation(experiment, dataset),
        }
    )


def timing_base(experiment: Experiment, dataset: str, label: str) -> str:
    """Digest of what all timed cells of a label share: its model on the first seed, and how."""
    final = experiment.formulation(label).final
    return digest_of(
        {
            "code": code_digest("bench.stages.timing", *_modules(experiment, dataset, final)),
            "model": stage_digest(experiment, dataset, label, final.name, experiment.seeds[0]),
            "guidance": _guidance(experiment, label),
            "timing": experiment.timing.model_dump(),
            "versions": versions(*_SAMPLING),
        }
    )


def timing_digest(experiment: Experiment, dataset: str) -> str:
    """Digest of all seconds a sample on a data set: the models and the choice of cells."""
    bases = {label: timing_base(experiment, dataset, label) for label in experiment.labels}
    return digest_of({"bases": bases, "cells": _cells(experiment)})


# --- slices -----------------------------------------------------------------------------------


def _modules(experiment: Experiment, dataset: str, stage: Stage) -> tuple[str, ...]:
    """Modules that a stage declares, and the network's."""
    network = (f"bench.networks.{experiment.datasets[dataset].network.kind}",)
    if stage.kind == "foreign":
        network = (f"bench.stages.{stage.kind}",)
    solver = (SOLVERS[stage.solver].module,) if stage.solver else ()
    return (*network, *(part.module for part in stage.parts), *solver)


def _metric_modules(experiment: Experiment, dataset: str) -> tuple[str, ...]:
    return tuple(f"bench.metrics.{name}" for name in applicable(experiment.described(dataset)))


def _declared(stage: Stage) -> dict[str, Any]:
    """A stage's declaration as plain values; its share is in the budget."""
    values = {field.name: getattr(stage, field.name) for field in fields(stage)}
    del values["share"], values["fixed"]
    return {
        name: [value.module, dict(value.options)] if isinstance(value, Part) else value
        for name, value in values.items()
    }


def _training(experiment: Experiment, dataset: str, label: str) -> dict[str, Any]:
    """Network and settings of a training; how seeds share jobs changes no number."""
    settings = experiment.training.model_dump(exclude={"seeds_per_job"})
    rate = experiment.learning_rate(dataset, label)
    network = experiment.datasets[dataset].network.model_dump()
    conditional = experiment.formulation(label).conditional
    told = {} if conditional is None else {"label dropout": conditional.dropout}
    return settings | {"learning_rate": rate, "network": network} | told


def _guidance(experiment: Experiment, label: str) -> float | None:
    conditional = experiment.formulation(label).conditional
    return None if conditional is None else conditional.guidance


def _evaluation(experiment: Experiment, dataset: str) -> dict[str, Any]:
    return {
        "data": data_digest(experiment, dataset),
        "extractor": extractor_digest(experiment, dataset),
        "sweep": experiment.sweep.model_dump(exclude=CHOICES | PACE),
        "metrics": experiment.metrics.model_dump() | {"flip": experiment.training.flip},
        "versions": versions(*_EVALUATION),
    }


def _view(experiment: Experiment) -> dict[str, Any] | None:
    view = experiment.unified_view
    if view is None:
        return None
    code = code_digest(*(f"bench.paths.{name}" for name in view.paths))
    return view.model_dump() | {"code": code}


def _cells(experiment: Experiment) -> dict[str, Any]:
    return experiment.sweep.model_dump(include=CHOICES)
