"""What a formulation is made of, readable without torch.

A formulation is a file in ``bench/formulations/``; its name is the file's name. The file holds

* ``TITLE``: the name printed in tables and figures,
* ``Options``: an :class:`OptionModel` (unknown options are rejected),
* ``formulation(options) -> Formulation``: its stages, in order, and its sampler.

Paths, couplings, objectives, weightings and time samplings are named by :class:`Part`. A part is a
module ``bench.<room>.<name>`` with a callable ``build`` and, where its name reads badly, a
``TITLE`` for tables; it is imported only when a stage runs, so that a plan of an experiment never
imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

from pydantic import Field

from bench.options import OptionModel
from bench.registry import aside, module

PREDICTION_NAMES = (
    "data",
    "noise",
    "velocity",
    "v",
    "score",
    "edm",
    "consistency",
)
"""What a network's output can mean: the names of ``bench.models.predictions``."""


STORED = "paired"
"""The coupling of pairs that an earlier stage stored; only a formulation can ask for it."""


Factor = Literal["path", "coupling", "prediction", "objective", "time_sampling", "weighting"]
"""What one formulation can differ in from another, all else held equal."""


@aside("which parts a stage has stands in its digest, and so does the code of each")
@dataclass(frozen=True)
class Part:
    """A named building block, ``bench.<room>.<name>``, with the options of its ``build``."""

    room: str
    name: str
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def build(self, **parts: Any) -> Any:
        """Import the part and construct it; a misspelt option raises ``TypeError``.

        Args:
            parts: what the part is made from beside its options, such as the time sampling and
                the weighting of an objective.
        """
        return module(self.room, self.name).build(**parts, **self.options)

    def describe(self) -> str:
        """``name`` or ``name(option=value, ...)``, as printed in the methods table."""
        if not self.options:
            return self.name
        return f"{self.name}({', '.join(f'{k}={v}' for k, v in self.options.items())})"


def path(name: str, **options: Any) -> Part:
    """A probability path, ``bench.models.paths.<name>``."""
    return Part("paths", name, options)


def coupling(name: str, **options: Any) -> Part:
    """A joint law of noise and data, ``bench.training.couplings.<name>``."""
    return Part("couplings", name, options)


def objective(name: str, **options: Any) -> Part:
    """What training minimises, ``bench.training.objectives.<name>``."""
    return Part("objectives", name, options)


def time_sampling(name: str, **options: Any) -> Part:
    """A law of training times, ``bench.training.time_sampling.<name>``."""
    return Part("time_sampling", name, options)


def weighting(name: str, **options: Any) -> Part:
    """A weighting of the loss over time, ``bench.training.weightings.<name>``."""
    return Part("weightings", name, options)


@dataclass(frozen=True)
class Stage:
    """One stage of a formulation: a training run, or the generation of pairs.

    Attributes:
        name: folder, ledger and table name of the stage.
        kind: ``train`` updates a network; ``pairs`` stores (noise, data) pairs of the model of
            ``reads``; ``foreign`` takes in a network that somebody else has trained.
        share: fraction of the all-in budget; the last stage of a formulation takes the remainder.
        path, coupling, objective, time_sampling, weighting: the parts of a ``train`` stage (the
            path also of ``pairs``).
        prediction: what the network's output means, a name of ``bench.models.predictions``.
        condition: what the network is told of time, see ``bench.models.path_model``.
        fixed: factors that make the stage what it is: an experiment may not exchange them.
        init_from: stage whose network this one starts from, or None for a fresh network.
        reads: stage whose checkpoint or pairs are consumed (teacher, pairs), or None.
        solver, nfe: how ``pairs`` integrates the probability flow (fixed cost only).
    """

    name: str
    kind: Literal["train", "pairs", "foreign"]
    share: float
    path: Part
    coupling: Part | None = None
    objective: Part | None = None
    time_sampling: Part | None = None
    weighting: Part | None = None
    prediction: str = "velocity"
    condition: Literal["log_snr", "time", "interval"] = "log_snr"
    fixed: tuple[Factor, ...] = ()
    init_from: str | None = None
    reads: str | None = None
    solver: str | None = None
    nfe: int | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """Every part this stage declares; their code belongs to the stage's digest."""
        found = (self.path, self.coupling, self.objective, self.time_sampling, self.weighting)
        return tuple(part for part in found if part is not None)

    def factors(self) -> dict[str, str]:
        """What the stage is made of, by factor, as printed in tables and ledgers."""
        found: dict[str, str] = {"path": self.path.describe()}
        if self.kind != "pairs":
            found["prediction"] = self.prediction
        for factor in ("coupling", "objective", "time_sampling", "weighting"):
            part: Part | None = getattr(self, factor)
            if part is not None:
                found[factor] = part.describe()
        return found

    @property
    def upstream(self) -> tuple[str, ...]:
        """Names of the stages whose files this stage reads."""
        return tuple(dict.fromkeys(s for s in (self.init_from, self.reads) if s is not None))


class Conditional(OptionModel):
    """Class-conditional training and sampling, with classifier-free guidance (2207.12598).

    Attributes:
        dropout: share of training samples whose class is hidden.
        guidance: weight of the class-conditional estimate against the open one; 1 for no guidance,
            and any other weight costs two evaluations.
    """

    dropout: float = Field(0.1, ge=0, lt=1)
    guidance: float = Field(1.0, ge=0, allow_inf_nan=False)

    @property
    def evaluations(self) -> int:
        """Network evaluations that a guided one costs."""
        return 1 if self.guidance == 1 else 2


@dataclass(frozen=True)
class Formulation:
    """A named composition: stages in the order they run, and how the last model is sampled.

    Attributes:
        stages: each stage may read earlier ones only.
        sampler: ``ode`` (solvers on the probability flow), ``consistency`` (to the data and back
            to a lower noise level), or ``flow_map`` (leaps from time to time).
        reference: where the method is published (arXiv id).
        grid: times of solvers with a fixed number of intervals, a name of
            ``bench.sampling.solvers.grids``.
        conditional: how classes are used, or None.
        forwards: forwards of its network that one evaluation of the model takes, guidance apart.
    """

    stages: tuple[Stage, ...]
    sampler: Literal["ode", "consistency", "flow_map"]
    reference: str
    grid: str = "uniform_t"
    conditional: Conditional | None = None
    forwards: int = 1

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for stage in self.stages:
            missing = [name for name in stage.upstream if name not in seen]
            if missing:
                raise ValueError(f"stage {stage.name!r} reads {missing[0]!r}, not an earlier stage")
            seen.add(stage.name)

    @property
    def evaluations(self) -> int:
        """Forwards of its network that one evaluation of the model takes, guidance included."""
        return self.forwards * (1 if self.conditional is None else self.conditional.evaluations)

    @property
    def final(self) -> Stage:
        """The stage whose model is evaluated."""
        return self.stages[-1]

    def stage(self, name: str) -> Stage:
        """The stage called ``name``."""
        return next(s for s in self.stages if s.name == name)

    def exchanged(self, factor: Factor, value: Part | str) -> Formulation:
        """The same formulation with one factor exchanged in every stage that has it.

        A coupling takes the place of another law of fresh noise, never that of stored pairs.

        Raises:
            ValueError: the factor makes a stage what it is, or no stage has it.
        """
        stages, found = [], False
        for stage in self.stages:
            now = getattr(stage, factor)
            has = now is not None and (stage.kind == "train" or factor == "path")
            if isinstance(now, Part) and now.name == STORED:
                has = False
            if has and factor in stage.fixed:
                raise ValueError(f"the {factor} makes the stage {stage.name!r} what it is")
            found |= has
            change: dict[str, Any] = {factor: value}
            stages.append(replace(stage, **change) if has else stage)
        if not found:
            raise ValueError(f"no stage has a {factor} to exchange")
        return replace(self, stages=tuple(stages))


TABULATED = Part("adapters", "tabulated")
"""The path of a foreign network that brings a table of its own; it has no name to build it by."""


FOREIGN_PREDICTIONS = ("data", "noise", "velocity", "v", "score")
"""What the output of a foreign network can mean: predictions without options of ours."""


def foreign(path: Part, prediction: str, coupling: Part, forwards: int) -> Formulation:
    """The formulation of a network that somebody else has trained: one stage, which takes it in."""
    stage = Stage("model", "foreign", 1.0, path, coupling=coupling, prediction=prediction)
    return Formulation((stage,), "ode", "", forwards=forwards)
