"""``bring``: somebody else's network through the whole evaluation, in one process.

The command becomes an experiment like any other, without formulations: its file stands in the
results, and the workflow can run it. A second identical command finds everything done. What is
wrong with the command or the network is found before any work.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from bench.errors import InputError
from bench.experiment.layout import Layout
from bench.experiment.loading import from_mapping, load
from bench.experiment.spec import Experiment
from bench.formulations.grammar import FOREIGN_PREDICTIONS, TABULATED, Part
from bench.stages.running.devices import limit_threads, ready
from bench.stages.whole import whole

if TYPE_CHECKING:
    from bench.models.adapters import Foreign, ForeignModel

COMMAND = "bring"
"""Names the command in errors, as a file is named."""


SECTIONS = (
    *("training", "sweep", "unified_view", "likelihood", "convergence"),
    *("metrics", "timing", "extractor"),
)
"""What is taken from an experiment file."""


UNKNOWN = "unknown"


def run(
    *,
    model: Sequence[str],
    path: str | None,
    prediction: str | None,
    coupling: str,
    data: str,
    name: str | None,
    called: str | None,
    settings: Path | None,
) -> None:
    """Every stage of an evaluation of some networks; see :class:`Request`.

    Raises:
        InputError: anything is wrong with the command, a factory or a network.
        RunError: the run is not sound; the report is there.
    """
    asked = Request(tuple(model), path, prediction, coupling, data, name, called, settings)
    experiment = brought(asked)
    whole(experiment, Layout(Path("results", experiment.name)))


@dataclass(frozen=True)
class Request:
    """The command as it was given; see ``bench.cli.OPTIONS``."""

    models: tuple[str, ...]
    path: str | None
    prediction: str | None
    coupling: str
    data: str
    name: str | None = None
    label: str | None = None
    settings: Path | None = None

    def by_label(self) -> dict[str, list[str]]:
        """Factories of each label, in the order given: one a seed."""
        factories: dict[str, list[str]] = {}
        for text in self.models:
            label, equals, factory = text.rpartition("=")
            if not equals:
                label = self.label or factory.rpartition(":")[2].rpartition(".")[2]
            factories.setdefault(label, []).append(factory)
        return factories


def brought(asked: Request) -> Experiment:
    """The experiment of a command, its networks imported and tried.

    Raises:
        InputError: anything is wrong with the command, a factory or a network.
    """
    draft = _experiment(asked, {})
    limit_threads(draft.training.threads)
    device = ready(draft.training.threads)
    from bench.models import adapters

    facts: dict[str, dict[str, Any]] = {}
    for label, spec in draft.models.items():
        tried = []
        for factory in spec.factories:
            foreign = adapters.load(factory, device)
            path, prediction = _meaning(asked, draft, label, factory, foreign)
            built = _built(path, label)
            shape = draft.described(asked.data).shape
            made = adapters.model(factory, foreign, built, prediction, shape, device)
            tried.append((adapters.state(factory, foreign, made.foreign), path, prediction, made))
        _, path, prediction, made = tried[0]
        for (_, *other_meaning), factory in zip(tried[1:], spec.factories[1:], strict=True):
            if _named(other_meaning[0]) != _named(path) or other_meaning[1] != prediction:
                raise InputError(
                    f"model {factory}: is not on the path of {spec.factories[0]} or predicts "
                    f"something else; networks of one label differ in their weights: "
                    "give it a label of its own"
                )
        facts[label] = {
            "states": [state for state, *_ in tried],
            "path": _named(path),
            "prediction": prediction,
            "forwards": made.evaluations,
        }
        print(f"{label}: {_described(made, path, prediction)}", file=sys.stderr)
    return _experiment(asked, facts)


def _experiment(asked: Request, facts: Mapping[str, Mapping[str, Any]]) -> Experiment:
    """The experiment with what is known of its models; without it, what was asked for."""
    by_label = asked.by_label()
    settings = {} if asked.settings is None else load(asked.settings).resolved()
    path = {"name": "linear"} if asked.path is None else _part(asked.path)
    models = {
        label: {
            "factories": factories,
            "states": [UNKNOWN] * len(factories),
            "path": path,
            "prediction": asked.prediction or FOREIGN_PREDICTIONS[0],
            "coupling": _part(asked.coupling),
        }
        | dict(facts.get(label, {}))
        for label, factories in by_label.items()
    }
    mapping = {
        "name": asked.name or next(iter(by_label)),
        "datasets": {asked.data: settings.get("datasets", {}).get(asked.data, {})},
        "models": models,
        "seeds": list(range(max(map(len, by_label.values())))),
        **{name: settings[name] for name in SECTIONS if settings.get(name) is not None},
    }
    training = mapping.get("training")
    if training is not None:
        mapping["training"] = {**training, "learning_rate": {}}
    return from_mapping(mapping, COMMAND)


def _part(text: str) -> dict[str, Any]:
    """``name:option=value,option=value`` as a part of an experiment file."""
    name, colon, options = text.partition(":")
    part: dict[str, Any] = {"name": name}
    for option in options.split(",") if colon else []:
        key, equals, value = option.partition("=")
        if not equals or not key:
            raise InputError(f"{COMMAND}: {text!r}: write name:option=value,option=value")
        part[key] = yaml.safe_load(value)
    return part


def _meaning(
    asked: Request, draft: Experiment, label: str, factory: str, foreign: Foreign
) -> tuple[Any, str]:
    """Path and prediction of a network: those of its adapter, or those of the command.

    Returns:
        The path as a part or as a table, and the name of the prediction.
    """
    for option, adapter_value in (("path", foreign.path), ("prediction", foreign.prediction)):
        if (getattr(asked, option) is None) == (adapter_value is None):
            remedy = "give" if adapter_value is None else "its adapter says it already: leave out"
            raise InputError(f"model {factory}: {remedy} --{option}")
    path = draft.formulation(label).final.path if foreign.path is None else foreign.path
    prediction = asked.prediction if foreign.prediction is None else foreign.prediction
    assert prediction is not None
    return path, prediction


def _built(path: Any, label: str) -> Any:
    if not isinstance(path, Part):
        return path
    try:
        return path.build()
    except (TypeError, ValueError) as error:
        raise InputError(f"{COMMAND}: {label}: {path.describe()}: {error}") from None


def _named(path: Any) -> dict[str, Any]:
    """A path as the experiment file names it."""
    named = path if isinstance(path, Part) else TABULATED
    return {"name": named.name, **named.options}


def _described(made: ForeignModel, path: Any, prediction: str) -> str:
    networks = ", ".join(made.foreign.names) or "a function without a network"
    named = path if isinstance(path, Part) else TABULATED
    return (
        f"{networks} with {made.foreign.numbers:,} parameters on the path {named.describe()}, "
        f"predicts {prediction}, {made.evaluations} forward(s) an evaluation"
    )
