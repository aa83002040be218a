"""``foreign``: take in a network that somebody else has trained.

The stage stands where a training stands for a formulation: it leaves the facts that are known of
the network. The weights stay where they are; every later stage gets them from the factory again,
and a network whose state is no longer that of the experiment is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.data.files import load
from bench.errors import InputError
from bench.experiment.digests import stage_digest
from bench.experiment.layout import FOREIGN, Layout
from bench.experiment.spec import Experiment
from bench.files import write_json
from bench.formulations.grammar import TABULATED
from bench.stages.running.devices import ready
from bench.stages.running.outcome import run_guarded
from bench.stages.running.seconds import Seconds

if TYPE_CHECKING:
    import torch

    from bench.data.dataset import DataSet
    from bench.models.adapters import ForeignModel


def run(
    experiment: Experiment,
    layout: Layout,
    *,
    dataset: str,
    label: str,
    stage: str,
    seeds: Sequence[int],
) -> None:
    """Try the networks of ``label`` and write down what they are; finished seeds are left alone."""
    for seed in seeds:
        run_guarded(
            layout.stage(dataset, label, seed, stage),
            stage_digest(experiment, dataset, label, stage, seed),
            partial(_work, experiment, layout, dataset, label, stage, seed),
            files=[FOREIGN],
            upstream={"data": layout.data(dataset)},
        )


def _work(
    experiment: Experiment,
    layout: Layout,
    dataset: str,
    label: str,
    stage: str,
    seed: int,
    seconds: Seconds,
) -> dict[str, Any]:
    with seconds("import"):
        device = ready(experiment.training.threads)
        foreign_model = model(experiment, load(layout.data(dataset)), label, seed, device)
    facts = {
        "factory": experiment.models[label].factories[experiment.seeds.index(seed)],
        "networks": foreign_model.foreign.names,
        "parameters": foreign_model.foreign.numbers,
        "forwards": foreign_model.evaluations,
    }
    write_json(layout.stage(dataset, label, seed, stage) / FOREIGN, facts)
    return {}


def model(
    experiment: Experiment, data: DataSet, label: str, seed: int, device: torch.device
) -> ForeignModel:
    """The network of a label and seed, as a model on its path.

    Raises:
        InputError: it cannot be had, does not work, or is not the one of the experiment.
    """
    from bench.models import adapters
    from bench.models.paths import Path

    spec, place = experiment.models[label], experiment.seeds.index(seed)
    factory = spec.factories[place]
    foreign = adapters.load(factory, device)
    path = experiment.formulation(label).final.path
    built = foreign.path if path == TABULATED else path.build()
    if not isinstance(built, Path):
        raise InputError(
            f"model {factory}: brings no table of its path; name one of bench/models/paths"
        )
    foreign_model = adapters.model(
        factory, foreign, built, spec.prediction, data.shape, device, data.sigma_data
    )
    state = adapters.state(factory, foreign, foreign_model.foreign)
    for what, now, then in (
        ("state", state, spec.states[place]),
        ("forwards", foreign_model.evaluations, spec.forwards),
    ):
        if now != then:
            raise InputError(
                f"model {factory}: its {what} is {now}, and models.{label} says {then}: "
                "write what it is, or give the command again"
            )
    return foreign_model
