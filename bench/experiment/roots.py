"""Where the code of a stage is entered: the definitions from which its digest is taken."""

from __future__ import annotations

from collections.abc import Sequence

from bench.experiment import code
from bench.experiment.definitions import Definition
from bench.experiment.spec import Experiment
from bench.formulations.grammar import Pairs, Part, Stage
from bench.metrics.declared import applicable
from bench.registry import discover, place
from bench.sampling.solvers.catalogue import GRIDS, SOLVERS, Solver

ENTRIES: dict[str, tuple[str, ...]] = {
    "adapters": ("Tabulated",),
    "data": ("build", "describe"),
    "figures": ("FIGURE",),
    "metrics": ("compute",),
    "stages": ("run",),
    "tables": ("TABLE",),
}
"""What is taken from a member of a family; of all others their ``build``."""

SHOWN = {"report": ("figures", "tables")}
"""Families of which a verb reads every member, by name."""

WORDS = ("TITLES", "DIRECTIONS")
"""What the report says of a metric, and no number depends on."""


# --- code -------------------------------------------------------------------------------------


def member(family: str, name: str) -> tuple[Definition, ...]:
    """The definitions that a member of a family is entered by."""
    return tuple(
        Definition(place(family, name), entry) for entry in ENTRIES.get(family, ("build",))
    )


def method(solver: Solver) -> tuple[Definition, ...]:
    """What a solver and its own grid are entered by, where that is chosen by a name."""
    grid_definitions = grid(solver.grid)
    if solver.family in ("fixed", "adaptive", "flow_map"):
        return grid_definitions  # sampling names these solvers itself
    return (*grid_definitions, Definition(place("solvers", solver.module), "METHODS", solver.name))


def grid(name: str | None) -> tuple[Definition, ...]:
    """What a grid is entered by; one that is made for a model is named by what makes it."""
    return (Definition(place("solvers", "grids"), "GRIDS", name),) if name in GRIDS else ()


def verb_digest(*verbs: str) -> str:
    """Digest of the code of some verbs."""
    roots = [root for verb in verbs for root in member("stages", verb)]
    for verb in verbs:
        for family in SHOWN.get(verb, ()):
            roots += [root for name in discover(family) for root in member(family, name)]
    if "report" in verbs:
        metrics = [place("metrics", name) for name in discover("metrics")]
        roots += [Definition(metric, word) for metric in metrics for word in WORDS]
    return code.digest(*roots)


def of_part(part: Part) -> tuple[Definition, ...]:
    """What a part is entered by."""
    return member(part.room, part.name)


def of_paths(names: Sequence[str]) -> list[Definition]:
    """What some paths are entered by."""
    return [root for name in names for root in member("paths", name)]


def of_stage(experiment: Experiment, dataset: str, stage: Stage) -> tuple[Definition, ...]:
    """What a stage declares, and its network."""
    network = member("networks", experiment.datasets[dataset].network.kind)
    if stage.kind == "foreign":
        network = (Definition(place("stages", stage.kind), "model"),)
    solver = method(SOLVERS[stage.solver]) if isinstance(stage, Pairs) else ()
    return (*network, *(root for part in stage.parts for root in of_part(part)), *solver)


def of_metrics(experiment: Experiment, dataset: str) -> list[Definition]:
    """What the metrics of a data set are entered by."""
    names = applicable(experiment.described(dataset))
    return [root for name in names for root in member("metrics", name)]
