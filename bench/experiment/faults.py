"""Settings of an experiment that are sound alone and wrong together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bench.errors import RefusedNfeError
from bench.experiment.sections import RUNG, TUNED, ForeignSpec, FormulationSpec
from bench.formulations.grammar import Pairs
from bench.metrics.declared import directions
from bench.registry import discover, nearest
from bench.sampling.solvers.catalogue import OWN, SOLVERS

if TYPE_CHECKING:
    from bench.experiment.spec import Experiment

Fault = tuple[str, Any, str]
"""Dotted key, the value found there, and what to do about it."""


PAIR_SOLVERS = tuple(s.name for s in SOLVERS.values() if s.family in ("fixed", "exponential"))
"""Solvers that can make the pairs of a reflow stage."""


def faults(experiment: Experiment) -> Iterator[Fault]:
    """What is wrong with an experiment, the first thing first; nothing where it is sound."""
    yield from _network(experiment)
    yield from _foreign(experiment)
    yield from _formulations(experiment)
    yield from _titles(experiment)
    yield from _budget(experiment)
    yield from _rates(experiment)
    yield from _sweep(experiment)
    yield from _view(experiment)


def _network(experiment: Experiment) -> Iterator[Fault]:
    for name, data in experiment.datasets.items():
        fault = data.network.fault(experiment.described(name).shape)
        if experiment.training.flip and experiment.described(name).kind != "image":
            yield "training.flip", True, f"{name} has no images to mirror; leave it out"
        if fault is not None:
            option, remedy = fault
            value = getattr(data.network, option)
            yield f"datasets.{name}.network.{option}", value, remedy


def _foreign(experiment: Experiment) -> Iterator[Fault]:
    if not experiment.labels:
        yield "formulations", {}, "name at least 1 formulation, or a model"
    for label, model in experiment.models.items():
        key = f"models.{label}"
        if label in experiment.formulations:
            yield key, label, "a formulation has this label; choose another"
        for name in ("factories", "states"):
            items = getattr(model, name)
            if len(items) != len(experiment.seeds):
                yield f"{key}.{name}", items, f"give one for each of {len(experiment.seeds)} seeds"
        if len(experiment.datasets) > 1:
            remedy = "a network is made for one: write an experiment for each"
            yield "datasets", list(experiment.datasets), remedy
        if experiment.tuning is not None:
            yield key, label, "it is trained already: remove it, or the tuning"


def _formulations(experiment: Experiment) -> Iterator[Fault]:
    rates = [f"{rate:g}" for rate in experiment.tuning.learning_rates] if experiment.tuning else []
    rungs = [f"{RUNG}{multiple:g}".removeprefix(TUNED) for multiple in experiment.budget.ladder]
    if experiment.tuning is not None and rungs:
        yield "budget.ladder", experiment.budget.ladder, "a grid is tried at one budget; remove it"
    for label in experiment.formulations:
        key = f"formulations.{label}"
        if TUNED in label and label.split(TUNED, 1)[1] not in (*rates, *rungs):
            remedy = f"{TUNED!r} is kept for rates of a tuning grid and rungs of a ladder"
            remedy += "; choose another label"
            yield key, label, remedy
        yield from _conditional(experiment, label)
        for stage in experiment.formulation(label).stages:
            if not isinstance(stage, Pairs):
                continue
            if stage.solver not in PAIR_SOLVERS:
                remedy = f"pairs need an ODE solver of fixed cost: {', '.join(PAIR_SOLVERS)}"
                yield f"{key}.options", stage.solver, f"stage {stage.name}: {remedy}"
                continue
            try:
                SOLVERS[stage.solver].intervals_for(stage.nfe)
            except RefusedNfeError as error:
                yield f"{key}.options", stage.nfe, f"stage {stage.name}: {error}"


def _conditional(experiment: Experiment, label: str) -> Iterator[Fault]:
    if experiment.formulation(label).conditional is None:
        return
    for dataset in experiment.datasets:
        if not experiment.classes(dataset, label):
            remedy = f"the data set {dataset!r} has no classes; remove it"
            yield f"formulations.{label}.conditional", label, remedy


def _titles(experiment: Experiment) -> Iterator[Fault]:
    """Columns of tables are told apart by the titles of labels."""
    owners: dict[str, str] = {}
    sections: dict[str, Mapping[str, FormulationSpec | ForeignSpec]] = {
        "formulations": experiment.formulations,
        "models": experiment.models,
    }
    for section, specs in sections.items():
        for label, spec in specs.items():
            if spec.title is None:
                continue
            base = label.split(TUNED, 1)[0]
            owner = owners.setdefault(spec.title, base)
            if owner != base:
                remedy = f"the label {owner!r} has this title; choose another"
                yield f"{section}.{label}.title", spec.title, remedy


def _budget(experiment: Experiment) -> Iterator[Fault]:
    budget = experiment.budget
    if not experiment.formulations:
        return
    yield from _coverage(
        "budget.amount", budget.amount, tuple(experiment.datasets), discover("data")
    )
    names = (*experiment.labels, *discover("formulations"))
    for label in budget.split:
        if label not in names and experiment.tuning is None:
            remedy = f"unknown label; {nearest(label, experiment.labels)}"
            yield f"budget.split.{label}", label, remedy
    for label in experiment.formulations:
        yield from _split(experiment, label)


def _split(experiment: Experiment, label: str) -> Iterator[Fault]:
    stages = experiment.formulation(label).stages
    names, key = tuple(stage.name for stage in stages), f"budget.split.{label}"
    for name, share in experiment.budget.split.get(label, {}).items():
        if name == names[-1]:
            yield f"{key}.{name}", share, "the last stage takes the remainder; remove it"
        elif name not in names:
            yield f"{key}.{name}", name, f"unknown stage; {nearest(name, names[:-1])}"
    for stage in stages:
        if stage.share <= 0:
            remedy = "the shares leave nothing for it; lower those of the other stages"
            yield f"{key}.{stage.name}", round(stage.share, 6), remedy


def _rates(experiment: Experiment) -> Iterator[Fault]:
    table = experiment.training.learning_rate
    if not isinstance(table, dict) or not experiment.formulations:
        return
    key, names = "training.learning_rate", discover("formulations")
    yield from _coverage(key, table, tuple(experiment.datasets), discover("data"))
    for dataset in experiment.datasets:
        yield from _coverage(
            f"{key}.{dataset}", table[dataset], tuple(experiment.formulations), names
        )


def _sweep(experiment: Experiment) -> Iterator[Fault]:
    sweep = experiment.sweep
    if "scoring" not in sweep.samples:
        yield "sweep.samples", dict(sweep.samples), "add scoring: the samples that are reported"
    for bank, count in sweep.samples.items():
        if count % sweep.block:
            remedy = f"write a multiple of sweep.block ({sweep.block})"
            yield f"sweep.samples.{bank}", count, remedy
    if sweep.screen is not None:
        for bank in ("selection", "scoring"):
            if bank not in sweep.samples:
                remedy = f"add {bank}: sweep.screen chooses samplers in one bank for the other"
                yield "sweep.samples", dict(sweep.samples), remedy
    if 2 * experiment.metrics.kid_subset_size > sweep.block:
        remedy = f"write at most half of sweep.block ({sweep.block // 2})"
        yield "metrics.kid_subset_size", experiment.metrics.kid_subset_size, remedy
    yield from _sizes(experiment)
    yield from _ranked_by(experiment)
    families = {SOLVERS[name].family for name in sweep.solvers}
    if "adaptive" in families and not sweep.tolerances:
        yield "sweep.tolerances", [], "an adaptive solver needs one, such as 1.0e-3"
    for family, values in (
        ("consistency", "few_step_nfe"),
        ("fixed", "nfe"),
        ("exponential", "nfe"),
        ("stochastic", "nfe"),
        ("flow_map", "few_step_nfe"),
    ):
        if family in families and not getattr(sweep, values):
            yield f"sweep.{values}", [], "give at least one number of evaluations"
    for label in experiment.labels:
        sampler = experiment.formulation(label).sampler
        able = [s for s in map(SOLVERS.get, sweep.solvers) if s and s.sampler == sampler]
        if not able:
            missing = "an ODE solver, such as euler" if sampler == "ode" else sampler
            yield "sweep.solvers", sweep.solvers, f"add {missing}: none samples {label!r}"
        elif not any(s.runs_on(grid) for s in able for grid in sweep.grids):
            remedy = f"add {OWN!r}: no solver of {label!r} runs on these"
            yield "sweep.grids", sweep.grids, remedy


def _ranked_by(experiment: Experiment) -> Iterator[Fault]:
    """Metrics that rank models are measured on their data set, and lower is better by the first."""
    for dataset, data in experiment.datasets.items():
        key, better = f"datasets.{dataset}.ranked_by", directions(experiment.described(dataset))
        for place, metric in enumerate(data.ranked_by):
            if metric not in better:
                names = sorted(better)
                yield key, metric, f"not measured on {dataset}; {nearest(metric, names)}"
            elif place == 0 and better[metric] != "lower":
                lower = ", ".join(sorted(name for name, way in better.items() if way == "lower"))
                yield key, metric, f"the first ranks models, lower first: write one of {lower}"


def _sizes(experiment: Experiment) -> Iterator[Fault]:
    """Sizes that data sets have of their own."""
    for dataset, data in experiment.datasets.items():
        if data.sizes is None:
            continue
        key, own_sweep = f"datasets.{dataset}.sizes", experiment.sweep_of(dataset)
        for bank, count in data.sizes.samples.items():
            if bank not in experiment.sweep.samples:
                remedy = "no cell is sampled from this bank; add it to sweep.samples, or remove it"
                yield f"{key}.samples.{bank}", count, remedy
        for bank, count in own_sweep.samples.items():
            if count % own_sweep.block:
                remedy = f"write multiples of its block ({own_sweep.block}), {bank} has {count:,}"
                yield f"{key}.samples", dict(own_sweep.samples), remedy
        subset = 2 * experiment.metrics.kid_subset_size
        if experiment.described(dataset).extractor is not None and subset > own_sweep.block:
            remedy = f"write at least twice metrics.kid_subset_size ({subset})"
            yield f"{key}.block", own_sweep.block, remedy
        if data.sizes.bandwidths and not experiment.described(dataset).exact:
            remedy = "kernels are compared with an exact law, and this one is not known; remove it"
            yield f"{key}.bandwidths", data.sizes.bandwidths, remedy


def _view(experiment: Experiment) -> Iterator[Fault]:
    for name in [] if experiment.unified_view is None else experiment.unified_view.solvers:
        solver = SOLVERS[name]
        if solver.family not in ("fixed", "exponential") or solver.equal_steps:
            remedy = "paths are compared at equal steps of log_snr: write euler, or one like it"
            yield "unified_view.solvers", name, remedy


def _coverage(
    key: str, table: Mapping[str, Any], needed: tuple[str, ...], known_names: tuple[str, ...]
) -> Iterator[Fault]:
    """Entries that are missing, and entries that name nothing (others may stay for later)."""
    for name in table:
        if name not in (*needed, *known_names):
            yield f"{key}.{name}", name, f"unknown name; {nearest(name, needed)}"
    for name in needed:
        if name not in table:
            yield f"{key}.{name}", None, "is missing; add it"
