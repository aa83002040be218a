"""The experiment file as typed values: what is compared, on what, at which cost.

An experiment is YAML. :func:`load` reads one and returns an :class:`Experiment`, or raises an
:class:`~bench.errors.InputError` of one line with file, key, value and remedy. Everything that can
be wrong is found here, before anything is trained: unknown keys, formulations, data sets, solvers
and options, impossible values, and settings that do not fit each other.

Sections and their defaults stand in :mod:`bench.experiment.sections`. An :class:`Experiment` is
canonical:
options are filled in, learning rates are a table, a tuning grid is expanded into one label a rate.
Its :meth:`~Experiment.resolved` form therefore loads to an equal experiment. Nothing here imports
torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import yaml
from pydantic import BaseModel, Field, ValidationError

from bench.data.dataset import Description, data_module, described
from bench.errors import InputError
from bench.experiment.faults import faults
from bench.experiment.reading import bad, only_words, read_mapping, shown
from bench.experiment.sections import (
    TUNED,
    BudgetSpec,
    ConvergenceSpec,
    DatasetSpec,
    ExperimentName,
    ExtractorSpec,
    ForeignSpec,
    FormulationSpec,
    Label,
    LikelihoodSpec,
    MetricsSpec,
    Seeds,
    SweepSpec,
    TimingSpec,
    TrainingSpec,
    TuningSpec,
    UnifiedViewSpec,
    part_of,
)
from bench.files import digest_of, write_text
from bench.formulations.grammar import PREDICTION_NAMES, STORED, TABULATED, Factor, Formulation
from bench.formulations.parts import ROOMS, formulation_module, part_options
from bench.models.architectures import NetworkSpec as NetworkSpec
from bench.options import OptionModel
from bench.registry import discover, nearest

M = TypeVar("M", bound=BaseModel)


class Experiment(OptionModel):
    """A validated experiment; made by :func:`load` or :meth:`from_mapping`."""

    name: ExperimentName
    datasets: Annotated[dict[str, DatasetSpec], Field(min_length=1)]
    formulations: dict[Label, FormulationSpec] = Field(default={})
    models: dict[Label, ForeignSpec] = Field(default={})
    seeds: Seeds = Field(default=[0, 1, 2, 3, 4])
    budget: BudgetSpec = BudgetSpec(amount={})
    training: TrainingSpec = TrainingSpec()
    sweep: SweepSpec = SweepSpec()
    unified_view: UnifiedViewSpec | None = None
    likelihood: LikelihoodSpec | None = None
    convergence: ConvergenceSpec | None = None
    metrics: MetricsSpec = MetricsSpec()
    timing: TimingSpec = TimingSpec()
    extractor: ExtractorSpec = ExtractorSpec()
    tuning: TuningSpec | None = None

    @classmethod
    def from_mapping(cls, mapping: Any, source: str) -> Experiment:
        """Validate an already loaded mapping; ``source`` names its file in errors.

        Raises:
            InputError: anything is wrong with it.
        """
        if not isinstance(mapping, Mapping):
            raise InputError(f"{source}: holds {shown(mapping)}; write keys and values")
        only_words(mapping, source)
        experiment = _validated(cls, _without_empty_sections(mapping), source, ())
        for key in ("formulations", "budget"):
            if key not in mapping and not experiment.models:
                raise InputError(f"{source}: {key}: is missing; add it")
        experiment = experiment._with_options(source)._with_tuning_grid()
        for key, value, remedy in faults(experiment):
            raise bad(source, key, value, remedy)
        return experiment._with_rate_table()

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels in the order of the file, which is the order of tables and figures."""
        return (*self.formulations, *self.models)

    @property
    def digest(self) -> str:
        """Digest of the resolved experiment."""
        return digest_of(self.resolved())

    def resolved(self) -> dict[str, Any]:
        """The whole experiment as plain values, defaults included; it loads to an equal one.

        What few experiments name is left out where it is not: it is no part of the others' digest.
        """
        unnamed: dict[str, Any] = {} if self.models else {"models": True}
        if self.extractor.weights is None:
            unnamed["extractor"] = {"weights"}
        if self.training.acceleration == "auto":
            unnamed["training"] = {"acceleration"}
        if self.sweep.overlap == "auto":
            unnamed["sweep"] = {"overlap"}
        return self.model_dump(mode="json", exclude=unnamed)

    def save(self, path: Path) -> None:
        """Write the resolved experiment, unless the file holds it already: its age matters."""
        text = yaml.safe_dump(self.resolved(), sort_keys=False)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)

    def formulation(self, label: str) -> Formulation:
        """The stages behind ``label``: options applied, shares replaced by ``budget.split``.

        The last stage's share is the remainder.
        """
        if label in self.models:
            return self.models[label].formulation()
        spec = self.formulations[label]
        module = formulation_module(spec.formulation)
        declared: Formulation = module.formulation(module.Options(**spec.options))
        for factor, part in spec.factors.items():
            declared = declared.exchanged(cast(Factor, factor), part_of(factor, part))
        declared = replace(declared, conditional=spec.conditional)
        split = self.budget.split.get(label, {})
        *upstream, final = declared.stages
        upstream = [replace(stage, share=split.get(stage.name, stage.share)) for stage in upstream]
        final = replace(final, share=1.0 - sum(stage.share for stage in upstream))
        return replace(declared, stages=(*upstream, final))

    def stage_budget(self, dataset: str, label: str, stage: str) -> float:
        """Planned units of a stage.

        ``all_in``: the stage's share of the amount. ``marginal``: the last stage has a full
        amount, and the stages before it share one further full amount in proportion to their
        shares. A foreign network is taken in as it is: nothing is planned for it.
        """
        if label in self.models:
            return 0.0
        amount = self.budget.amount[dataset]
        formulation = self.formulation(label)
        share = formulation.stage(stage).share
        if self.budget.accounting == "all_in":
            return amount * share
        if stage == formulation.final.name:
            return amount
        return amount * share / (1.0 - formulation.final.share)

    def is_calibrated(self, label: str) -> bool:
        """Whether the steps of a label are measured first: its budget is in seconds."""
        return self.budget.unit == "device_seconds" and label in self.formulations

    def learning_rate(self, dataset: str, label: str) -> float:
        """The learning rate of a label on a data set."""
        rate = self.training.learning_rate
        return rate[dataset][label] if isinstance(rate, dict) else rate

    def classes(self, dataset: str, label: str) -> int:
        """Number of classes that a label's network is told on a data set; 0 for none."""
        if self.formulation(label).conditional is None:
            return 0
        return self.described(dataset).classes or 0

    def described(self, dataset: str) -> Description:
        """What the options of a data set say of it.

        Data sets name their Frechet distance after its features; in Inception's it is FID.
        """
        found = described(dataset, self.datasets[dataset].options)
        return replace(found, primary="fid") if found.primary == "fd_inception" else found

    def seed_blocks(self) -> list[tuple[int, ...]]:
        """Seeds that share a job, so that they share one import of torch."""
        size = self.training.seeds_per_job
        step = len(self.seeds) if size == "all" else size
        return [tuple(self.seeds[i : i + step]) for i in range(0, len(self.seeds), step)]

    # Canonical form: each method returns an experiment in which one shorthand is written out.

    def _with_options(self, source: str) -> Experiment:
        """Options validated by their owners and filled in with defaults."""
        formulations = {}
        for label, spec in self.formulations.items():
            key = ("formulations", label)
            name = spec.formulation or label
            known = discover("formulations")
            if name not in known:
                at = ".".join((*key, "formulation")) if spec.formulation else ".".join(key)
                raise bad(source, at, name, f"unknown formulation; {nearest(name, known)}")
            module = formulation_module(name)
            options = _options(module, spec.options, source, key)
            declared = module.formulation(module.Options(**options))
            for factor, part in spec.factors.items():
                place = (*key, "factors", factor)
                _check_part(factor, part, source, place)
                try:
                    declared.exchanged(factor, part_of(factor, part))
                except ValueError as error:
                    remedy = f"{error}; remove it"
                    raise bad(source, ".".join(place), part["name"], remedy) from None
            formulations[label] = spec.model_copy(update={"formulation": name, "options": options})
        datasets = {}
        for name, data in self.datasets.items():
            known = discover("data")
            if name not in known:
                remedy = f"unknown data set; {nearest(name, known)}"
                raise bad(source, f"datasets.{name}", name, remedy)
            options = _options(data_module(name), data.options, source, ("datasets", name))
            datasets[name] = data.model_copy(update={"options": options})
        for label, model in self.models.items():
            key = ("models", label)
            if model.path["name"] != TABULATED.name:
                _check_part("path", model.path, source, (*key, "path"))
            _check_part("coupling", model.coupling, source, (*key, "coupling"))
        return self.model_copy(update={"formulations": formulations, "datasets": datasets})

    def _with_tuning_grid(self) -> Experiment:
        """One label for each rate of the grid, on the tuning seed; a second time does nothing."""
        if self.tuning is None or any(TUNED in label for label in self.labels):
            return self
        grid = {
            f"{label}{TUNED}{rate:g}": (label, rate)
            for label in self.formulations
            for rate in self.tuning.learning_rates
        }
        rates = {name: rate for name, (_, rate) in grid.items()}
        split = {
            name: self.budget.split[label]
            for name, (label, _) in grid.items()
            if label in self.budget.split
        }
        return self.model_copy(
            update={
                "formulations": {n: self.formulations[label] for n, (label, _) in grid.items()},
                "seeds": [self.tuning.seed],
                "budget": self.budget.model_copy(update={"split": self.budget.split | split}),
                "training": self.training.model_copy(
                    update={"learning_rate": dict.fromkeys(self.datasets, rates)}
                ),
            }
        )

    def _with_rate_table(self) -> Experiment:
        """Rates as a table, and tables without entries for what the experiment does not hold."""
        labels = tuple(self.formulations)
        table = {d: {n: self.learning_rate(d, n) for n in labels} for d in self.datasets}
        amount = {name: self.budget.amount[name] for name in self.datasets if labels}
        split = {name: self.budget.split[name] for name in labels if name in self.budget.split}
        return self.model_copy(
            update={
                "training": self.training.model_copy(update={"learning_rate": table}),
                "budget": self.budget.model_copy(update={"amount": amount, "split": split}),
            }
        )


def _check_part(factor: str, part: Mapping[str, Any], source: str, key: tuple[str, ...]) -> None:
    at, name = ".".join(key), part["name"]
    known: tuple[str, ...] = PREDICTION_NAMES
    options: dict[str, bool] = {}
    if factor != "prediction":
        room = ROOMS[cast(Factor, factor)]
        known = tuple(found for found in discover(room) if found != STORED)
        options = part_options(room, name) if name in known else {}
    if name not in known:
        raise bad(source, at, name, f"unknown {factor}; {nearest(name, known)}")
    given = tuple(option for option in part if option != "name")
    for option in given:
        if option not in options:
            remedy = f"unknown option; {nearest(option, tuple(options))}"
            raise bad(source, f"{at}.{option}", part[option], remedy)
    taken = ("time_sampling", "weighting") if factor == "objective" else ()
    for option, has_default in options.items():
        if not has_default and option not in (*given, *taken):
            raise InputError(f"{source}: {at}.{option}: is missing; add it")


def untuned(label: str) -> str:
    """The label of the file behind a label of a tuning grid; other labels are their own."""
    return label.split(TUNED, 1)[0]


def load(path: Path | str) -> Experiment:
    """Read and validate an experiment file.

    Raises:
        InputError: the file is missing or not YAML, or anything in it is wrong.
    """
    return Experiment.from_mapping(read_mapping(path), str(path))


def _without_empty_sections(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """``flow_matching:`` with nothing behind it is a formulation with its defaults."""
    values = dict(mapping)
    for section in ("datasets", "formulations"):
        if isinstance(values.get(section), Mapping):
            values[section] = {k: {} if v is None else v for k, v in values[section].items()}
    return values


def _options(module: Any, given: Mapping[str, Any], source: str, key: tuple[str, ...]) -> Any:
    """Options as their owner understands them, defaults included, as plain values."""
    options = _validated(module.Options, given, source, (*key, "options"))
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
        remedy = first["msg"].replace("Input should be", "must be")
        raise bad(source, at, value, remedy) from None
