"""What a formulation is made of, readable without torch.

A formulation is a file in ``bench/formulations/``; its name is the file's name. The file holds

* ``TITLE``: the name printed in tables and figures,
* ``Options``: an :class:`OptionModel` (unknown options are rejected),
* ``formulation(options) -> Formulation``: its stages, in order, and its sampler.

Paths, couplings, objectives, weightings and time samplings are named by :class:`Part`. A part is a
module ``bench.<room>.<name>`` with a callable ``build``; it is imported only when a stage runs, so
that a plan of an experiment never imports torch.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, ModuleType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from bench.errors import InputError


class OptionModel(BaseModel):
    """Base of every option model: immutable, and a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _name_the_nearest_key(cls, values: Any) -> Any:
        known = tuple(cls.model_fields)
        for key in values if isinstance(values, Mapping) else ():
            if key not in known:
                context = {"key": key, "hint": nearest(key, known)}
                raise PydanticCustomError("unknown_key", "unknown key; {hint}", context)
        return values


@dataclass(frozen=True)
class Part:
    """A named building block, ``bench.<room>.<name>``, with the options of its ``build``."""

    room: str
    name: str
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def module(self) -> str:
        """Dotted name of the module that holds the part."""
        return f"bench.{self.room}.{self.name}"

    def build(self) -> Any:
        """Import the part and construct it; a misspelt option raises ``TypeError``."""
        return importlib.import_module(self.module).build(**self.options)

    def describe(self) -> str:
        """``name`` or ``name(option=value, ...)``, as printed in the methods table."""
        if not self.options:
            return self.name
        return f"{self.name}({', '.join(f'{k}={v}' for k, v in self.options.items())})"


def path(name: str, **options: Any) -> Part:
    """A probability path, ``bench.paths.<name>``."""
    return Part("paths", name, options)


def coupling(name: str, **options: Any) -> Part:
    """A joint law of noise and data, ``bench.couplings.<name>``."""
    return Part("couplings", name, options)


def objective(name: str, **options: Any) -> Part:
    """What training minimises, ``bench.objectives.<name>``."""
    return Part("objectives", name, options)


@dataclass(frozen=True)
class Stage:
    """One stage of a formulation: a training run, or the generation of pairs.

    Attributes:
        name: folder, ledger and table name of the stage.
        kind: ``train`` updates a network; ``pairs`` stores (noise, data) pairs of the model of
            ``reads``.
        share: fraction of the all-in budget; the last stage of a formulation takes the remainder.
        path, coupling, objective: the parts of a ``train`` stage (the path also of ``pairs``).
        prediction: what the network's output means, a name of ``bench.predictions``.
        init_from: stage whose network this one starts from, or None for a fresh network.
        reads: stage whose checkpoint or pairs are consumed (teacher, pairs), or None.
        solver, nfe: how ``pairs`` integrates the probability flow (fixed cost only).
    """

    name: str
    kind: Literal["train", "pairs"]
    share: float
    path: Part
    coupling: Part | None = None
    objective: Part | None = None
    prediction: str = "velocity"
    init_from: str | None = None
    reads: str | None = None
    solver: str | None = None
    nfe: int | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """Every part this stage declares; their code belongs to the stage's digest."""
        return tuple(p for p in (self.path, self.coupling, self.objective) if p is not None)

    @property
    def time_sampling(self) -> str | None:
        """Law of the training times, as the objective's option of that name."""
        return None if self.objective is None else self.objective.options["time_sampling"]

    @property
    def weighting(self) -> str | None:
        """Weighting of the loss over time, as the objective's option of that name."""
        return None if self.objective is None else self.objective.options["weighting"]

    @property
    def upstream(self) -> tuple[str, ...]:
        """Names of the stages whose files this stage reads."""
        return tuple(dict.fromkeys(s for s in (self.init_from, self.reads) if s is not None))


@dataclass(frozen=True)
class Formulation:
    """A named composition: stages in the order they run, and how the last model is sampled.

    Attributes:
        stages: each stage may read earlier ones only.
        sampler: ``ode`` (solvers on the probability flow) or ``consistency``.
        reference: where the method is published (arXiv id).
    """

    stages: tuple[Stage, ...]
    sampler: Literal["ode", "consistency"]
    reference: str

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for stage in self.stages:
            missing = [name for name in stage.upstream if name not in seen]
            if missing:
                raise ValueError(f"stage {stage.name!r} reads {missing[0]!r}, not an earlier stage")
            seen.add(stage.name)

    @property
    def final(self) -> Stage:
        """The stage whose model is evaluated."""
        return self.stages[-1]

    def stage(self, name: str) -> Stage:
        """The stage called ``name``."""
        return next(s for s in self.stages if s.name == name)


def discover(room: str) -> tuple[str, ...]:
    """Names of the modules in ``bench/<room>/``, sorted, without importing them."""
    package = importlib.import_module(f"bench.{room}")
    return tuple(sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name[0] != "_"))


def nearest(word: str, known: tuple[str, ...]) -> str:
    """A hint for a misspelt name: the nearest known one, or all of them."""
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(known)}" if known else "there are none; remove it"


def formulation_module(name: str) -> ModuleType:
    """The module of the formulation ``name``.

    Raises:
        InputError: no file of that name in ``bench/formulations/``.
    """
    known = discover("formulations")
    if name not in known:
        raise InputError(f"unknown formulation {name!r}; {nearest(name, known)}")
    return importlib.import_module(f"bench.formulations.{name}")
