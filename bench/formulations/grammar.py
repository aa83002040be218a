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
from typing import Any, ClassVar, Literal, cast

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


PARTS = ("path", "coupling", "objective", "time_sampling", "weighting")
"""The factors that are parts."""


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


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of a formulation: a :class:`Train`, :class:`Pairs`, or :class:`Foreign` one.

    Attributes:
        name: folder, ledger and table name of the stage.
        share: fraction of the all-in budget; the last stage of a formulation takes the remainder.
        path: of its model.
        fixed: factors that make the stage what it is: an experiment may not exchange them.
        kind: the verb that does it.
        reads: stage whose checkpoint or pairs are consumed (teacher, pairs), or None.
    """

    kind: ClassVar[str]
    name: str
    share: float
    path: Part
    fixed: tuple[Factor, ...] = ()
    reads: str | None = None

    def part(self, factor: str) -> Part | None:
        """The part that it has of a factor, or None."""
        declared: Part | None = getattr(self, factor, None)
        return declared

    @property
    def parts(self) -> tuple[Part, ...]:
        """Every part this stage declares; their code belongs to the stage's digest."""
        return tuple(part for factor in PARTS if (part := self.part(factor)) is not None)

    def factors(self) -> dict[str, str]:
        """What the stage is made of, by factor, as printed in tables and ledgers."""
        return {factor: part.describe() for factor in PARTS if (part := self.part(factor))}

    @property
    def upstream(self) -> tuple[str, ...]:
        """Names of the stages whose files this stage reads."""
        return () if self.reads is None else (self.reads,)


@dataclass(frozen=True, kw_only=True)
class Model(Stage):
    """A stage that leaves a model.

    Attributes:
        coupling: how noise was paired with data.
        prediction: what the network's output means, a name of ``bench.models.predictions``.
    """

    coupling: Part
    prediction: str = "velocity"

    def factors(self) -> dict[str, str]:
        """What the stage is made of, by factor, as printed in tables and ledgers."""
        path, *other_factors = super().factors().items()
        return dict([path, ("prediction", self.prediction), *other_factors])


@dataclass(frozen=True, kw_only=True)
class Train(Model):
    """A stage that updates a network.

    Attributes:
        objective, time_sampling, weighting: what it minimises.
        condition: what the network is told of time, see ``bench.models.path_model``.
        init_from: stage whose network this one starts from, or None for a fresh network.
    """

    kind: ClassVar[str] = "train"
    objective: Part
    time_sampling: Part
    weighting: Part
    condition: Literal["log_snr", "time", "interval"] = "log_snr"
    init_from: str | None = None

    @property
    def upstream(self) -> tuple[str, ...]:
        """Names of the stages whose files this stage reads."""
        return tuple(dict.fromkeys(s for s in (self.init_from, self.reads) if s is not None))


@dataclass(frozen=True, kw_only=True)
class Pairs(Stage):
    """A stage that stores pairs (noise, data) of the model of an earlier stage.

    Attributes:
        reads: the stage of that model.
        solver, nfe: how its probability flow is integrated (fixed cost only).
    """

    kind: ClassVar[str] = "pairs"
    reads: str = field()  # without the default that it has in other stages
    solver: str
    nfe: int


@dataclass(frozen=True, kw_only=True)
class Foreign(Model):
    """A stage that takes in a network that somebody else has trained."""

    kind: ClassVar[str] = "foreign"
    share: float = 1.0


class Conditional(OptionModel):
    """Class-conditional training and sampling, with classifier-free guidance.

    The guidance is that of Ho & Salimans, 2022, 2207.12598.

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
            if isinstance(stage, Pairs) and not isinstance(self.stage(stage.reads), Train):
                raise ValueError(
                    f"stage {stage.name!r} makes pairs of {stage.reads!r}, which trains nothing"
                )
            seen.add(stage.name)
        if not isinstance(self.stages[-1], Model):
            raise ValueError(f"the last stage, {self.stages[-1].name!r}, leaves no model")

    @property
    def evaluations(self) -> int:
        """Forwards of its network that one evaluation of the model takes, guidance included."""
        return self.forwards * (1 if self.conditional is None else self.conditional.evaluations)

    @property
    def final(self) -> Model:
        """The stage whose model is evaluated."""
        return cast(Model, self.stages[-1])

    def stage(self, name: str) -> Stage:
        """The stage called ``name``."""
        return next(stage for stage in self.stages if stage.name == name)

    def training(self, name: str) -> Train:
        """The stage called ``name``, which trains."""
        stage = self.stage(name)
        if not isinstance(stage, Train):
            raise ValueError(f"the stage {name!r} trains nothing")
        return stage

    def pairing(self, name: str) -> Pairs:
        """The stage called ``name``, which makes pairs."""
        stage = self.stage(name)
        if not isinstance(stage, Pairs):
            raise ValueError(f"the stage {name!r} makes no pairs")
        return stage

    def exchanged(self, factor: Factor, value: Part | str) -> Formulation:
        """The same formulation with one factor exchanged in every stage that has it.

        A coupling takes the place of another law of fresh noise, never that of stored pairs.

        Raises:
            ValueError: the factor makes a stage what it is, or no stage has it.
        """
        stages, is_exchanged = [], False
        for stage in self.stages:
            now = getattr(stage, factor, None)
            has = now is not None and (isinstance(stage, Train) or factor == "path")
            if isinstance(now, Part) and now.name == STORED:
                has = False
            if has and factor in stage.fixed:
                raise ValueError(f"the {factor} makes the stage {stage.name!r} what it is")
            is_exchanged |= has
            change: dict[str, Any] = {factor: value}
            stages.append(replace(stage, **change) if has else stage)
        if not is_exchanged:
            raise ValueError(f"no stage has a {factor} to exchange")
        return replace(self, stages=tuple(stages))


TABULATED = Part("adapters", "tabulated")
"""The path of a foreign network that brings a table of its own; it has no name to build it by."""


FOREIGN_PREDICTIONS = ("data", "noise", "velocity", "v", "score")
"""What the output of a foreign network can mean: predictions without options of ours."""


def foreign(path: Part, prediction: str, coupling: Part, forwards: int) -> Formulation:
    """The formulation of a network that somebody else has trained: one stage, which takes it in."""
    stage = Foreign(name="model", path=path, coupling=coupling, prediction=prediction)
    return Formulation((stage,), "ode", "", forwards=forwards)
