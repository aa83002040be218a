"""The experiment as typed values: what is compared, on what, at which cost.

An experiment is YAML; :mod:`bench.experiment.loading` reads and checks it. Sections and their
defaults stand in :mod:`bench.experiment.sections`. An :class:`Experiment` is canonical: options
are filled in, learning rates are a table, a tuning grid is expanded into one label a rate. Its
:meth:`~Experiment.resolved` form therefore loads to an equal experiment. Nothing here imports
torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self, cast

import yaml
from pydantic import BaseModel, Field

from bench.data.dataset import Description, described
from bench.experiment.measuring import (
    ConvergenceSpec,
    ExtractorSpec,
    LikelihoodSpec,
    MetricsSpec,
    TimingSpec,
    UnifiedViewSpec,
)
from bench.experiment.sections import (
    RUNG,
    TUNED,
    BudgetSpec,
    DatasetSpec,
    ExperimentName,
    ForeignSpec,
    FormulationSpec,
    Label,
    Seeds,
    SweepSpec,
    TrainingSpec,
    TuningSpec,
    Unnamed,
)
from bench.files import digest_of, write_text
from bench.formulations.grammar import Factor, Formulation
from bench.formulations.parts import formulation_module, part_of
from bench.models.architectures import NetworkSpec as NetworkSpec
from bench.options import OptionModel


class Experiment(OptionModel):
    """A validated experiment; made by :func:`bench.experiment.loading.load`."""

    name: ExperimentName
    datasets: Annotated[dict[str, DatasetSpec], Field(min_length=1)]
    formulations: dict[Label, FormulationSpec] = Field(default={})
    models: Annotated[dict[Label, ForeignSpec], Unnamed()] = Field(default={})
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

        Keys that are marked :class:`~bench.experiment.sections.Unnamed` are left out where they
        have their default: they are no part of the digest of experiments that do not name them.
        """
        return self.model_dump(mode="json", exclude=_unnamed(self))

    def save(self, path: Path) -> None:
        """Write the resolved experiment, unless the file holds it already: its age matters."""
        text = yaml.safe_dump(self.resolved(), sort_keys=False)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)

    def formulation(self, label: str) -> Formulation:
        """The stages behind ``label``: options applied, shares replaced by ``budget.split``.

        The last stage's share is the remainder.
        """
        return self._composed[label]

    def stage_budget(self, dataset: str, label: str, stage: str) -> float:
        """Planned units of a stage.

        ``all_in``: the stage's share of the amount. ``marginal``: the last stage has a full
        amount, and the stages before it share one further full amount in proportion to their
        shares. A foreign network is taken in as it is: nothing is planned for it.
        """
        if label in self.models:
            return 0.0
        amount = self.amount(dataset, label)
        formulation = self.formulation(label)
        share = formulation.stage(stage).share
        if self.budget.accounting == "all_in":
            return amount * share
        if stage == formulation.final.name:
            return amount
        return amount * share / (1.0 - formulation.final.share)

    def amount(self, dataset: str, label: str) -> float:
        """Units that a model of a label may spend on a data set: the amount, times its rung."""
        return self.budget.amount[dataset] * rung(label)

    def is_calibrated(self, label: str) -> bool:
        """Whether the steps of a label are measured first: its budget is in seconds."""
        return self.budget.unit == "device_seconds" and label in self.formulations

    def learning_rate(self, dataset: str, label: str) -> float:
        """The learning rate of a label on a data set."""
        rate = self.training.learning_rate
        return rate[dataset][label] if isinstance(rate, dict) else rate

    def sweep_of(self, dataset: str) -> SweepSpec:
        """The sweep of a data set: with the samples and blocks that are its own, if it has any."""
        sizes = self.datasets[dataset].sizes
        if sizes is None:
            return self.sweep
        block = self.sweep.block if sizes.block is None else sizes.block
        samples = self.sweep.samples | sizes.samples
        return self.sweep.model_copy(update={"samples": samples, "block": block})

    def classes(self, dataset: str, label: str) -> int:
        """Number of classes that a label's network is told on a data set; 0 for none."""
        if self.formulation(label).conditional is None:
            return 0
        return self.described(dataset).classes or 0

    def described(self, dataset: str) -> Description:
        """What the options of a data set say of it.

        Data sets name their Frechet distance after its features; in Inception's it is FID.
        """
        return self._described[dataset]

    def seed_blocks(self) -> list[tuple[int, ...]]:
        """Seeds that share a job, so that they share one import of torch."""
        size = self.training.seeds_per_job
        step = len(self.seeds) if size == "all" else size
        return [tuple(self.seeds[i : i + step]) for i in range(0, len(self.seeds), step)]

    @property
    def timed_seeds(self) -> tuple[int, ...]:
        """Training seeds whose models are timed."""
        return tuple(self.seeds[: self.timing.seeds])

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other sections, which forgets what was worked out from these."""
        copy = super().model_copy(update=update, deep=deep)
        for name in ("_composed", "_described"):
            copy.__dict__.pop(name, None)
        return copy

    # Worked out once: plans and digests ask for them for every cell.

    @cached_property
    def _composed(self) -> dict[str, Formulation]:
        """The formulation behind every label."""
        formulations = {label: self._compose(label) for label in self.formulations}
        return formulations | {label: model.formulation() for label, model in self.models.items()}

    def _compose(self, label: str) -> Formulation:
        """The formulation of a label of ``formulations``."""
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

    @cached_property
    def _described(self) -> dict[str, Description]:
        """What the options of every data set say of it."""
        told = {}
        for name, data in self.datasets.items():
            description = described(name, data.options)
            if data.ranked_by:
                primary, *companions = data.ranked_by
                description = replace(description, primary=primary, companions=tuple(companions))
            if description.primary == "fd_inception":
                description = replace(description, primary="fid")
            told[name] = description
        return told


def rung(label: str) -> float:
    """The multiple of the budget that a label of a ladder is given; 1 for other labels."""
    return float(label.split(RUNG, 1)[1]) if RUNG in label else 1.0


def untuned(label: str) -> str:
    """The label of the file behind one of a tuning grid or a ladder; others are their own."""
    return label.split(TUNED, 1)[0]


def _unnamed(section: BaseModel) -> dict[str, Any]:
    """Keys of a section, and of the sections in it, that are left out of the resolved form."""
    keys: dict[str, Any] = {}
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        marked = any(isinstance(mark, Unnamed) for mark in field.metadata)
        if marked and value == field.get_default(call_default_factory=True):
            keys[name] = True
        elif inside := _unnamed_inside(value):
            keys[name] = inside
    return keys


def _unnamed_inside(value: Any) -> dict[str, Any]:
    """The same of a value: a section, a table of sections, or anything else."""
    if isinstance(value, BaseModel):
        return _unnamed(value)
    if not isinstance(value, Mapping):
        return {}
    return {key: inside for key, below in value.items() if (inside := _unnamed_inside(below))}
