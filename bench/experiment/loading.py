"""An experiment file read, checked and written out: YAML to an :class:`Experiment`.

:func:`load` reads a file and returns an experiment, or raises an :class:`~bench.errors.InputError`
of one line with file, key, value and remedy. Everything that can be wrong is found here, before
anything is trained: unknown keys, formulations, data sets, solvers and options, impossible values,
and settings that do not fit each other.

Then each shorthand is written out: options are filled in, a tuning grid becomes one label a rate,
learning rates become a table. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from bench.data.dataset import data_module
from bench.errors import InputError
from bench.experiment.faults import faults
from bench.experiment.reading import bad, only_words, read_mapping, shown
from bench.experiment.sections import RUNG, TUNED
from bench.experiment.spec import Experiment
from bench.formulations.grammar import PREDICTION_NAMES, STORED, TABULATED, Factor, Formulation
from bench.formulations.parts import ROOMS, formulation_module, part_of, part_options
from bench.options import OptionModel
from bench.registry import discover, nearest

M = TypeVar("M", bound=BaseModel)

FORMER: Mapping[tuple[str, str], tuple[Any, str]] = {
    ("sweep", "stop_above"): (None, "0.7.0"),
    ("training", "weight_decay"): (0.0, "0.7.0"),
}
"""Keys of a section that were dropped: the value that meant "off", and the version without them.

Files that versions before it wrote hold that value, and mean the same without the key.
"""


def load(path: Path | str) -> Experiment:
    """Read and validate an experiment file.

    Raises:
        InputError: the file is missing or not YAML, or anything in it is wrong.
    """
    return from_mapping(read_mapping(path), str(path))


def from_mapping(mapping: Any, source: str) -> Experiment:
    """Validate an already loaded mapping; ``source`` names its file in errors.

    Raises:
        InputError: anything is wrong with it.
    """
    if not isinstance(mapping, Mapping):
        raise InputError(f"{source}: holds {shown(mapping)}; write keys and values")
    only_words(mapping, source)
    experiment = _validated(
        Experiment, _without_former_keys(_without_empty_sections(mapping), source), source, ()
    )
    for key in ("formulations", "budget"):
        if key not in mapping and not experiment.models:
            raise InputError(f"{source}: {key}: is missing; add it")
    experiment = _with_ladder(_with_tuning_grid(_with_options(experiment, source)))
    for key, value, remedy in faults(experiment):
        raise bad(source, key, value, remedy)
    return _with_rate_table(experiment)


# --- canonical form: each function returns an experiment in which one shorthand is written out ---


def _with_options(experiment: Experiment, source: str) -> Experiment:
    """Options validated by their owners and filled in with defaults."""
    formulations = {}
    for label, spec in experiment.formulations.items():
        key = ("formulations", label)
        name = spec.formulation or label
        names = discover("formulations")
        if name not in names:
            at = ".".join((*key, "formulation")) if spec.formulation else ".".join(key)
            raise bad(source, at, name, f"unknown formulation; {nearest(name, names)}")
        module = formulation_module(name)
        options = _options(module, spec.options, source, key)
        declared = module.formulation(module.Options(**options))
        _check_declared(declared, source, (*key, "options"))
        factors = {}
        for factor, part in spec.factors.items():
            place = (*key, "factors", factor)
            factors[factor] = _checked_part(factor, part, source, place)
            try:
                declared.exchanged(factor, part_of(factor, factors[factor]))
            except ValueError as error:
                remedy = f"{error}; remove it"
                raise bad(source, ".".join(place), part["name"], remedy) from None
        formulations[label] = spec.model_copy(
            update={"formulation": name, "options": options, "factors": factors}
        )
    datasets = {}
    for name, data in experiment.datasets.items():
        names = discover("data")
        if name not in names:
            remedy = f"unknown data set; {nearest(name, names)}"
            raise bad(source, f"datasets.{name}", name, remedy)
        options = _options(data_module(name), data.options, source, ("datasets", name))
        datasets[name] = data.model_copy(update={"options": options})
    models = {}
    for label, model in experiment.models.items():
        key, path = ("models", label), model.path
        if path["name"] != TABULATED.name:
            path = _checked_part("path", path, source, (*key, "path"))
        coupling = _checked_part("coupling", model.coupling, source, (*key, "coupling"))
        models[label] = model.model_copy(update={"path": path, "coupling": coupling})
    return experiment.model_copy(
        update={"formulations": formulations, "datasets": datasets, "models": models}
    )


def _with_tuning_grid(experiment: Experiment) -> Experiment:
    """One label for each rate of the grid, on the tuning seed; a second time does nothing."""
    if experiment.tuning is None or any(TUNED in label for label in experiment.labels):
        return experiment
    grid = {
        f"{label}{TUNED}{rate:g}": (label, rate)
        for label in experiment.formulations
        for rate in experiment.tuning.learning_rates
    }
    rates = {name: rate for name, (_, rate) in grid.items()}
    budget, training = experiment.budget, experiment.training
    split = {
        name: budget.split[label] for name, (label, _) in grid.items() if label in budget.split
    }
    return experiment.model_copy(
        update={
            "formulations": {n: experiment.formulations[label] for n, (label, _) in grid.items()},
            "seeds": [experiment.tuning.seed],
            "budget": experiment.budget.model_copy(
                update={"split": experiment.budget.split | split}
            ),
            "training": training.model_copy(
                update={"learning_rate": dict.fromkeys(experiment.datasets, rates)}
            ),
        }
    )


def _with_ladder(experiment: Experiment) -> Experiment:
    """One label for each rung of the ladder; a second time does nothing."""
    budget, training = experiment.budget, experiment.training
    if experiment.tuning is not None or any(RUNG in label for label in experiment.labels):
        return experiment
    if not budget.ladder:
        return experiment
    rungs = {
        f"{label}{RUNG}{multiple:g}": label
        for label in experiment.formulations
        for multiple in budget.ladder
    }
    rates = training.learning_rate
    if isinstance(rates, dict):
        rates = {
            dataset: table | {name: table[label] for name, label in rungs.items() if label in table}
            for dataset, table in rates.items()
        }
    split = {name: budget.split[label] for name, label in rungs.items() if label in budget.split}
    return experiment.model_copy(
        update={
            "formulations": {name: experiment.formulations[label] for name, label in rungs.items()},
            "budget": budget.model_copy(update={"split": budget.split | split}),
            "training": training.model_copy(update={"learning_rate": rates}),
        }
    )


def _with_rate_table(experiment: Experiment) -> Experiment:
    """Rates as a table, and tables without entries for what the experiment does not hold."""
    labels = tuple(experiment.formulations)
    table = {d: {n: experiment.learning_rate(d, n) for n in labels} for d in experiment.datasets}
    budget = experiment.budget
    amount = {name: budget.amount[name] for name in experiment.datasets if labels}
    split = {name: budget.split[name] for name in labels if name in budget.split}
    return experiment.model_copy(
        update={
            "training": experiment.training.model_copy(update={"learning_rate": table}),
            "budget": budget.model_copy(update={"amount": amount, "split": split}),
        }
    )


# --- checks ------------------------------------------------------------------------------------


def _checked_part(
    factor: str, part: Mapping[str, Any], source: str, key: tuple[str, ...]
) -> dict[str, Any]:
    """A part that an experiment names, with its options as their owner understands them."""
    name, names = part["name"], cast(tuple[str, ...], PREDICTION_NAMES)
    owner: type[OptionModel] = OptionModel
    if factor != "prediction":
        room = ROOMS[cast(Factor, factor)]
        names = tuple(part for part in discover(room) if part != STORED)
        owner = part_options(room, name) if name in names else OptionModel
    if name not in names:
        raise bad(source, ".".join(key), name, f"unknown {factor}; {nearest(name, names)}")
    values = {option: value for option, value in part.items() if option != "name"}
    options = _validated(owner, values, source, key)
    return {"name": name} | {option: getattr(options, option) for option in values}


def _check_declared(formulation: Formulation, source: str, key: tuple[str, ...]) -> None:
    """Options that a formulation hands on are refused as the parts that get them refuse them."""
    for stage in formulation.stages:
        for part in stage.parts:
            _validated(part_options(part.room, part.name), dict(part.options), source, key)


def _without_empty_sections(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """``flow_matching:`` with nothing behind it is a formulation with its defaults."""
    values = dict(mapping)
    for section in ("datasets", "formulations"):
        if isinstance(values.get(section), Mapping):
            values[section] = {k: {} if v is None else v for k, v in values[section].items()}
    return values


def _without_former_keys(mapping: Mapping[str, Any], source: str) -> dict[str, Any]:
    """A file without the keys of :data:`FORMER`, which may only say what holds without them."""
    values = dict(mapping)
    for (section, key), (off, version) in FORMER.items():
        inside = values.get(section)
        if not isinstance(inside, Mapping) or key not in inside:
            continue
        value = inside[key]
        if isinstance(value, bool) or value != off:
            remedy = f"this option was dropped in version {version}; remove it"
            raise bad(source, f"{section}.{key}", value, remedy)
        values[section] = {name: each for name, each in inside.items() if name != key}
    return values


def _options(module: Any, values: Mapping[str, Any], source: str, key: tuple[str, ...]) -> Any:
    """Options as their owner understands them, defaults included, as plain values."""
    options = _validated(module.Options, values, source, (*key, "options"))
    return options.model_dump(mode="json")


def _validated(model: type[M], values: Any, source: str, key: tuple[str, ...]) -> M:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        inside, value = first["loc"], first["input"]
        if "key" in (context := first.get("ctx", {})):
            inside, value = (*inside, context["key"]), value[context["key"]]
        # Parts in brackets name a branch of a union or the key itself, not a key of the file.
        at = ".".join((*key, *(str(part) for part in inside if str(part)[0] not in "<[")))
        if first["type"] == "missing":
            raise InputError(f"{source}: {at}: is missing; add it") from None
        remedy = first["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
        raise bad(source, at, value, remedy) from None
