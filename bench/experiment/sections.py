"""The sections of an experiment file: their keys, what each must be, and its default.

These models are the one place of defaults. What has to fit from one section to another is checked
by :class:`~bench.experiment.spec.Experiment`. Nothing here imports torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, WithJsonSchema

from bench.experiment.screens import EVERY_GRID, EVERY_GRID_SCHEMA, ScreenSpec
from bench.experiment.sizes import NoiseBank, SizesSpec, distinct
from bench.formulations.grammar import (
    FOREIGN_PREDICTIONS,
    TABULATED,
    Conditional,
    Factor,
    Formulation,
    Part,
    foreign,
)
from bench.formulations.parts import part_of
from bench.models.architectures import DEFAULT, NetworkSpec, declared, kind_of, known
from bench.options import (
    Count,
    Fraction,
    Natural,
    OptionModel,
    Positive,
    Share,
    refuse,
)
from bench.registry import discover, nearest
from bench.sampling.solvers.catalogue import ADAPTED, GRIDS, OWN, SEARCHED, SOLVERS

RESERVED = {"floor": "the floor table", "exact": "the exact field"}
"""First words of labels that no formulation may have."""

TUNED = "@"
"""Separates a label from its learning rate in a tuning experiment: ``flow_matching@0.001``."""


RUNG = "@x"
"""Separates a label from its rung of the ladder of budgets: ``flow_matching@x0.25``."""


class Unnamed:
    """Mark of a key that came later: experiments that leave its default have the digest they had.

    It is left out of :meth:`~bench.experiment.spec.Experiment.resolved` where it is the default.
    """


# --- values -----------------------------------------------------------------------------------


def _path_safe(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.@-]*", name):
        raise refuse("it names a folder: use letters, digits, '_', '-' and '.', a letter first")
    return name


def _experiment_name(name: str) -> str:
    if name.lower() == "reference":
        raise refuse("results/reference holds published results; choose another name")
    return _path_safe(name)


def _label(label: str) -> str:
    first = label.split(".")[0]
    if first in RESERVED:
        raise refuse(f"labels '{first}...' are reserved for {RESERVED[first]}; choose another")
    return _path_safe(label)


def _title(title: str) -> str:
    if not title.strip() or not title.isprintable():
        raise refuse("write a name of one line")
    return title


def _known(word: str, names: Sequence[str], what: str) -> str:
    if word not in names:
        raise refuse(f"unknown {what}; {nearest(word, tuple(names))}")
    return word


def _factory(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", name):
        raise refuse("write package.module:factory")
    return name


def _named(value: Any) -> Any:
    """``cosine`` is short for ``{name: cosine}``."""
    part = {"name": value} if isinstance(value, str) else value
    if not isinstance(part, Mapping) or not isinstance(part.get("name"), str):
        raise refuse("write the name of a part, or a mapping with name and its options")
    return dict(part)


Label = Annotated[str, AfterValidator(_label)]
Title = Annotated[str, AfterValidator(_title)]
ExperimentName = Annotated[str, AfterValidator(_experiment_name)]
Counts = Annotated[list[Count], AfterValidator(distinct)]
Seeds = Annotated[list[Natural], Field(min_length=1), AfterValidator(distinct)]
Rates = Annotated[list[Positive], Field(min_length=1), AfterValidator(distinct)]
MetricNames = Annotated[list[str], AfterValidator(distinct)]
Ladder = Annotated[list[Positive], AfterValidator(distinct)]
Tolerances = Annotated[list[Positive], AfterValidator(distinct)]
SolverName = Annotated[str, AfterValidator(lambda name: _known(name, tuple(SOLVERS), "solver"))]
Solvers = Annotated[list[SolverName], Field(min_length=1), AfterValidator(distinct)]
GridName = Annotated[
    str, AfterValidator(lambda name: _known(name, (OWN, *GRIDS, ADAPTED, SEARCHED), "grid"))
]
Grids = Annotated[
    list[GridName], Field(min_length=1), AfterValidator(distinct), EVERY_GRID, EVERY_GRID_SCHEMA
]
PathName = Annotated[str, AfterValidator(lambda name: _known(name, discover("paths"), "path"))]
PathNames = Annotated[list[PathName], Field(min_length=1), AfterValidator(distinct)]
RateTable = dict[str, dict[str, Positive]]
OneRateOrTable = Annotated[
    Annotated[Positive, Tag("<rate>")] | Annotated[RateTable, Tag("<table>")],
    Discriminator(lambda value: "<table>" if isinstance(value, Mapping) else "<rate>"),
]
FactorName = Annotated[str, AfterValidator(lambda word: _known(word, get_args(Factor), "factor"))]
NamedPart = Annotated[
    dict[str, Any],
    BeforeValidator(_named),
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"additionalProperties": True, "type": "object"}]}
    ),
]
ForeignPrediction = Annotated[
    str, AfterValidator(lambda name: _known(name, FOREIGN_PREDICTIONS, "prediction"))
]
Factories = Annotated[
    list[Annotated[str, AfterValidator(_factory)]],
    Field(min_length=1),
    AfterValidator(distinct),
]
if TYPE_CHECKING:
    Network = NetworkSpec
else:
    _KINDS = (Annotated[declared(kind), Tag(f"<{kind}>")] for kind in discover("architectures"))
    Network = Annotated[
        reduce(or_, _KINDS),
        Discriminator(lambda value: f"<{kind_of(value)}>"),
        BeforeValidator(known),
    ]
SwitchName = Annotated[
    str, AfterValidator(lambda name: _known(name, ("channels_last", "compile"), "switch"))
]
Switches = Annotated[
    Annotated[Literal["auto", "off"], Tag("<word>")]
    | Annotated[list[SwitchName], AfterValidator(distinct), Tag("<switches>")],
    Discriminator(lambda value: "<switches>" if isinstance(value, list) else "<word>"),
    # YAML reads the bare word off as false.
    BeforeValidator(lambda value: "off" if value is False else value),
]
Switch = Annotated[
    Literal["auto", "on", "off"],
    # YAML reads the bare words on and off as true and false.
    BeforeValidator(lambda value: ("off", "on")[value] if isinstance(value, bool) else value),
]
CountOrAll = Annotated[
    Annotated[Count, Tag("<count>")] | Annotated[Literal["all"], Tag("<all>")],
    Discriminator(lambda value: "<all>" if value == "all" else "<count>"),
]


# --- sections ---------------------------------------------------------------------------------


class DatasetSpec(OptionModel):
    """A data set: its network, the options of ``bench/data/sources/<name>.py``, and its metrics.

    Attributes:
        network: that every formulation trains.
        options: of the data set.
        sizes: samples and blocks, where they are not those of the sweep.
        ranked_by: metrics, in place of those that the data set names: the first ranks models, and
            all together say which cells are at the floor. Empty for those of the data set.
    """

    network: Network = declared(DEFAULT)(kind=DEFAULT)
    options: dict[str, Any] = Field(default={})
    sizes: Annotated[SizesSpec | None, Unnamed()] = None
    ranked_by: Annotated[MetricNames, Unnamed()] = Field(default=[])


class FormulationSpec(OptionModel):
    """A formulation under a label; without ``formulation`` the label names it.

    ``factors`` exchanges single parts in every stage that has them, all else held equal: a name, or
    a mapping with ``name`` and the part's options. ``conditional`` trains and samples by class.
    ``title`` is the label's name in tables and figures; no result depends on it.
    """

    formulation: str = ""
    options: dict[str, Any] = Field(default={})
    factors: dict[FactorName, NamedPart] = Field(default={})
    conditional: Conditional | None = None
    title: Annotated[Title | None, Unnamed()] = None


class ForeignSpec(OptionModel):
    """Networks that somebody else has trained, sampled and scored as our models are.

    ``python -m bench bring`` writes such an entry; see :mod:`bench.models.adapters`.

    Attributes:
        factories: what gives the network, ``package.module:factory``, one a seed.
        states: digest of what each factory gave, its source and its weights: a changed checkpoint
            is another model, and one whose state is not this is refused.
        path: a path of ``bench/models/paths`` with its options, or ``tabulated``: the factory's
            own.
        prediction: what the output means.
        coupling: how noise was paired with data in training. Exact fields and score-based samplers
            are for ``independent`` only.
        forwards: forwards of the network that one evaluation takes.
        title: name in tables and figures; the label's unless given.
    """

    factories: Factories
    states: list[str]
    path: NamedPart
    prediction: ForeignPrediction
    coupling: NamedPart = Field(default={"name": "independent"})
    forwards: Count = 1
    title: Annotated[Title | None, Unnamed()] = None

    def formulation(self) -> Formulation:
        """The one stage that takes a network in."""
        path, coupling = part_of("path", self.path), part_of("coupling", self.coupling)
        assert isinstance(path, Part) and isinstance(coupling, Part)
        return foreign(
            TABULATED if path.name == TABULATED.name else path,
            self.prediction,
            coupling,
            self.forwards,
        )


class BudgetSpec(OptionModel):
    """What every formulation may spend.

    Attributes:
        unit: what is counted: floating point operations of the real step, network passes
            (forward 1, forward and backward 3, per sample), or calibrated device seconds.
        amount: units a model, for each data set.
        accounting: ``all_in`` charges upstream stages to the one budget; ``marginal`` gives them
            one further budget.
        split: shares of upstream stages that replace those of the formulation, by label; the last
            stage takes the remainder.
        ladder: multiples of the amount; every label is trained from scratch at each, as
            ``label@x0.25``, with schedules that fit it.
    """

    unit: Literal["flops", "network_passes", "device_seconds"] = "flops"
    amount: dict[str, Positive]
    accounting: Literal["all_in", "marginal"] = "all_in"
    split: dict[str, dict[str, Share]] = Field(default={})
    ladder: Annotated[Ladder, Unnamed()] = Field(default=[])


class TrainingSpec(OptionModel):
    """How every stage trains. ``warmup`` and ``ema_half_life`` are fractions of its updates.

    ``flip`` mirrors half of the images, drawn anew for every update, for every formulation alike;
    stored pairs of a flow are left as they are, each noise belongs to its image. ``threads`` are
    those of one job, never the cores of the run: sums depend on them.
    ``precision`` is that of the products in training; weights, losses and all sampling are float32,
    and so are forwards that carry a derivative by time (mean flows, sCM). With ``bf16`` a GPU may
    round the products of sampling to TF32.
    ``acceleration`` names what makes steps faster and changes numbers by rounding only; ``auto``
    measures on a GPU what is worth it (:mod:`bench.models.fast_path`), and is ``off`` on the CPU.
    """

    batch_size: Count = 256
    learning_rate: OneRateOrTable = 1.0e-3
    warmup: Fraction = 0.05
    ema_half_life: Fraction = 0.05
    gradient_clip: Positive = 1.0
    flip: bool = False
    threads: Count = 1
    seeds_per_job: CountOrAll = "all"
    precision: Literal["float32", "bf16"] = "float32"
    acceleration: Annotated[Switches, Unnamed()] = "auto"


class SweepSpec(OptionModel):
    """Which solvers sample every model, at which cost, and how many samples are scored.

    ``nfe`` are those of ODE solvers, ``few_step_nfe`` those of consistency and flow-map sampling.
    Every solver that runs on a grid runs on each of ``grids`` that it can; ``own`` is the one that
    the solver, or the formulation, names itself, and ``all`` stands for every one.
    ``screen: {best: 3}`` samples every solver on every grid in the bank ``selection`` alone, and
    in ``scoring``, at each number of evaluations, the three best of the other seeds (its own where
    there is one only) and the common solver.
    ``samples`` of a noise bank come in blocks of ``block``, as many as the held-out set holds:
    the distances depend on the sample size.
    With ``overlap`` a cell is scored while the next one is sampled, which changes no value;
    ``auto`` measures on a GPU whether it is worth it, and is ``off`` on the CPU.
    """

    solvers: Solvers = Field(
        default=[
            *("euler", "midpoint", "heun2", "rk4", "dopri5"),
            *("ddim", "dpmpp_2m", "unipc"),
            *("consistency", "flow_map"),
        ]
    )
    grids: Grids = Field(default=[OWN])
    nfe: Counts = Field(default=[1, 2, 4, 8, 16, 32, 64])
    tolerances: Tolerances = Field(default=[1.0e-2, 1.0e-3, 1.0e-4])
    few_step_nfe: Counts = Field(default=[1, 2, 4])
    samples: dict[NoiseBank, Count] = Field(default={"scoring": 1194, "selection": 597})
    block: Count = 597
    batch_size: Count = 1194
    reference_tolerance: Positive = 1.0e-6
    reference_samples: Count = 597
    overlap: Annotated[Switch, Unnamed()] = "auto"
    screen: Annotated[ScreenSpec | None, Unnamed()] = None


class TuningSpec(OptionModel):
    """A grid of learning rates, tried on one seed that no reported experiment uses."""

    learning_rates: Rates
    seed: Natural = 100
