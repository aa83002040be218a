"""The cells of a sweep: which solver, at which cost, from which noise bank. Torch-free."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from bench.declarations import Formulation
from bench.errors import RefusedNfeError
from bench.solvers.catalogue import SOLVERS, Solver
from bench.spec import Experiment, NoiseBank


@dataclass(frozen=True)
class Cell:
    """One set of samples of one model.

    Attributes:
        solver: name in the catalogue.
        bank: noise bank.
        grid: times it runs on, a name of ``bench.solvers.grids`` or ``adaptive``.
        nfe: evaluations asked for, or None where a tolerance decides.
        tolerance: relative and absolute tolerance of an adaptive solver, or None.
        refused: why the solver cannot spend ``nfe`` exactly, or None.
    """

    solver: str
    bank: NoiseBank
    grid: str
    nfe: int | None = None
    tolerance: float | None = None
    refused: str | None = None

    @property
    def declaration(self) -> Solver:
        """The solver's declaration."""
        return SOLVERS[self.solver]

    def key(self) -> dict[str, Any]:
        """What sets the cell apart, JSON-able."""
        return asdict(self)


def cells(experiment: Experiment, formulation: Formulation) -> tuple[Cell, ...]:
    """All cells of a model, the cheap ones first within a solver."""
    sweep = experiment.sweep
    conditional = formulation.conditional
    evaluations = 1 if conditional is None else conditional.evaluations
    found = []
    for bank in sweep.samples:
        for name in sweep.solvers:
            solver = SOLVERS[name]
            if solver.sampler != formulation.sampler:
                continue
            grid = formulation.grid if solver.family == "fixed" else solver.grid
            if solver.family == "adaptive":
                found += [Cell(name, bank, grid, tolerance=tol) for tol in sweep.tolerances]
                continue
            wanted = sweep.consistency_nfe if solver.family == "consistency" else sweep.nfe
            found += [
                Cell(name, bank, grid, nfe, refused=_refusal(solver, nfe, evaluations))
                for nfe in wanted
            ]
    return tuple(found)


def _refusal(solver: Solver, nfe: int, evaluations: int) -> str | None:
    try:
        solver.intervals_for(nfe, evaluations)
    except RefusedNfeError as error:
        return str(error)
    return None
