"""The cells of a sweep: which solver, at which cost, from which noise bank. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from bench.errors import RefusedNfeError
from bench.experiment.sizes import NoiseBank
from bench.experiment.spec import Experiment
from bench.formulations.grammar import TABULATED, Formulation, Part
from bench.formulations.parts import without_defaults
from bench.registry import aside
from bench.sampling.solvers.catalogue import ADAPTIVE, OWN, SOLVERS, Solver

SCORING: NoiseBank = "scoring"
SELECTION: NoiseBank = "selection"
UNIFIED = "unified"
"""Grid of the unified view: steps of equal length in log_snr, over a range all its paths share."""

EXACT = "exact"
"""Labels of the exact field: this one in the unified view, ``exact.<path>`` elsewhere."""


@dataclass(frozen=True)
class Cell:
    """One set of samples of one model.

    Attributes:
        solver: name in the catalogue.
        bank: noise bank.
        grid: times it runs on, a name of :mod:`bench.sampling.solvers.catalogue`.
        nfe: evaluations asked for, or None where a tolerance decides.
        tolerance: relative and absolute tolerance of an adaptive solver, or None.
        refused: why the solver cannot spend ``nfe`` exactly, or None.
        path: path that the model is changed to before it is sampled, or None for its own.
        among: paths that share the range of log_snr a changed model is sampled over; its own path
            is always one more.
    """

    solver: str
    bank: NoiseBank
    grid: str
    nfe: int | None = None
    tolerance: float | None = None
    refused: str | None = None
    path: str | None = None
    among: tuple[str, ...] = ()

    @property
    def declaration(self) -> Solver:
        """The solver's declaration."""
        return SOLVERS[self.solver]

    def key(self) -> dict[str, Any]:
        """What sets the cell apart, JSON-able."""
        return asdict(self)


@aside("chooses cells; each has a digest of its own")
def cells(experiment: Experiment, formulation: Formulation) -> tuple[Cell, ...]:
    """Cells of a model on its own path, the cheap ones first within a solver and grid."""
    sweep = experiment.sweep
    planned_cells: dict[Cell, None] = {}
    for bank in sweep.samples:
        for name in sweep.solvers:
            solver = SOLVERS[name]
            if solver.sampler != formulation.sampler:
                continue
            if solver.family == "adaptive":
                planned_cells |= {
                    Cell(name, bank, ADAPTIVE, tolerance=t): None for t in sweep.tolerances
                }
                continue
            wanted = sweep.nfe if solver.sampler == "ode" else sweep.few_step_nfe
            for grid in sweep.grids:
                if not solver.runs_on(grid):
                    continue
                named = own_grid(formulation, solver) if grid == OWN else grid
                planned_cells |= {
                    Cell(name, bank, named, nfe, refused=_refusal(formulation, solver, nfe)): None
                    for nfe in wanted
                }
    return tuple(planned_cells)


@aside("chooses cells; each has a digest of its own")
def screened_cells(experiment: Experiment, formulation: Formulation) -> tuple[Cell, ...]:
    """Cells of a model's screen: every solver and grid, in the noise bank ``selection``."""
    return tuple(cell for cell in cells(experiment, formulation) if cell.bank == SELECTION)


def own_grid(formulation: Formulation, solver: Solver) -> str:
    """The grid that a solver runs on where none is asked for."""
    follows_formulation = solver.family == "fixed" and solver.runs_on(formulation.grid)
    return formulation.grid if follows_formulation else solver.grid


@aside("chooses cells; each has a digest of its own")
def evaluations_left(todo: Sequence[Cell]) -> str:
    """What cells will spend, in words: known where a number was asked for."""
    evaluations = sum(cell.nfe or 0 for cell in todo if cell.refused is None)
    adaptive = sum(cell.nfe is None for cell in todo)
    more = f" and {adaptive} adaptive cells" if adaptive else ""
    return f"{evaluations:,} evaluations a sample{more} to go"


@aside("chooses cells; each has a digest of its own")
def unified_cells(experiment: Experiment, formulation: Formulation) -> tuple[Cell, ...]:
    """Cells of a model that is sampled on other paths than its own, and on its own among them.

    They take no part in the selection of samplers: they answer another question.
    """
    view = experiment.unified_view
    if view is None or formulation.sampler != "ode":
        return ()
    own_path = formulation.final.path.name
    return tuple(
        Cell(
            name,
            SCORING,
            UNIFIED,
            nfe,
            refused=_refusal(formulation, SOLVERS[name], nfe),
            path=path,
            among=tuple(view.paths),
        )
        for name in view.solvers
        for nfe in view.nfe
        for path in dict.fromkeys((*view.paths, own_path))
    )


@dataclass(frozen=True)
class ExactFlow:
    """The exact field on a path, and the cells that it is sampled at.

    Attributes:
        label: in the records.
        path: the path.
        cells: of the scoring bank.
    """

    label: str
    path: Part
    cells: tuple[Cell, ...]


@aside("chooses cells; each has a digest of its own")
def exact_flows(experiment: Experiment) -> tuple[ExactFlow, ...]:
    """The exact field at the cells of every formulation that solves an equation, path by path.

    Where samplers are screened, at those on their own grids: the exact field is there to tell a
    solver's error from a model's, and has no sampler to choose.
    """
    by_label: dict[str, tuple[Part, dict[Cell, None]]] = {}
    unconditional = [replace(f, conditional=None, forwards=1) for f in _solved(experiment)]
    for formulation in unconditional:
        path = formulation.final.path
        _, path_cells = by_label.setdefault(exact_label(path), (without_defaults(path), {}))
        swept = (
            cell
            for cell in cells(experiment, formulation)
            if cell.bank == SCORING
            and (experiment.sweep.screen is None or _is_on_own_grid(cell, formulation))
        )
        path_cells.update(dict.fromkeys(map(_of_exact_field, swept)))
    flows = [
        ExactFlow(label, path, tuple(path_cells)) for label, (path, path_cells) in by_label.items()
    ]
    if experiment.unified_view is not None and unconditional:
        view = [c for f in unconditional for c in unified_cells(experiment, f)]
        listed = experiment.unified_view.paths
        listed_cells = tuple(dict.fromkeys(cell for cell in view if cell.path in listed))
        flows.append(ExactFlow(EXACT, Part("paths", listed[0]), listed_cells))
    return tuple(flows)


def _is_on_own_grid(cell: Cell, formulation: Formulation) -> bool:
    """Whether a cell has no grid, or that which its solver runs on where none is asked for."""
    return cell.grid in (ADAPTIVE, own_grid(formulation, cell.declaration))


def _of_exact_field(cell: Cell) -> Cell:
    """The cell as the exact field has it, which has a score however a model was coupled."""
    refused = None if cell.nfe is None else _cost_refusal(cell.declaration, cell.nfe, 1)
    return replace(cell, refused=refused)


def exact_label(path: Part) -> str:
    """``exact.<path>``, with the options that differ from the path's defaults."""
    return f"{EXACT}.{without_defaults(path).describe()}"


@aside("chooses cells; each has a digest of its own")
def has_oracle(experiment: Experiment, dataset: str) -> bool:
    """Whether the exact field is sampled on a data set: its law is known, and a label asks."""
    return experiment.described(dataset).exact and any(True for _ in _solved(experiment))


@aside("chooses cells; each has a digest of its own")
def has_likelihood(experiment: Experiment, label: str) -> bool:
    """Whether the likelihood under a label's models is asked for, and they have a flow for it."""
    return experiment.likelihood is not None and experiment.formulation(label).sampler == "ode"


def compares_with_exact(formulation: Formulation) -> bool:
    """Whether the exact field of the data is what a formulation's model should have learnt.

    A coupling that is not independent has another field with the same ends, and guidance changes
    the law that is sampled.
    """
    independent = formulation.final.coupling.name == "independent"
    return formulation.sampler == "ode" and independent and formulation.evaluations == 1


def _solved(experiment: Experiment) -> Iterator[Formulation]:
    """Formulations that solve an equation on a path that can be built by its name."""
    for label in experiment.labels:
        formulation = experiment.formulation(label)
        if formulation.sampler == "ode" and formulation.final.path != TABULATED:
            yield formulation


def lacks_score(solver: Solver, coupling: str) -> bool:
    """Whether a solver reads a score that models of a coupling do not have.

    ``-E[noise|x]/sigma`` is the score of an independent coupling only.
    """
    return solver.family == "stochastic" and coupling != "independent"


def _refusal(formulation: Formulation, solver: Solver, nfe: int) -> str | None:
    """Why a solver cannot sample a formulation's model with exactly ``nfe`` evaluations."""
    coupling = formulation.final.coupling.name
    if lacks_score(solver, coupling):
        return f"{solver.name} needs a score, and the coupling {coupling!r} gives none"
    return _cost_refusal(solver, nfe, formulation.evaluations)


def _cost_refusal(solver: Solver, nfe: int, evaluations: int) -> str | None:
    try:
        solver.intervals_for(nfe, evaluations)
    except RefusedNfeError as error:
        return str(error)
    return None
