"""Which samplers of a model are scored, from the screens of all seeds. Torch-free.

A screen samples every solver on every grid with few samples, in the noise bank ``selection``. Of
these the best are sampled again with many, in the bank ``scoring``: for a model of seed s and a
number of evaluations those with the lowest mean log of the primary metric over the seeds other than
s. Neither a score of the seed nor any value of the scoring noise takes part, and the sampler that
:func:`~bench.evidence.statistics.select_samplers` finally chooses is the first of them: it makes
the same choice from the same cells.
"""

from __future__ import annotations

import pandas as pd

from bench.evidence.samplers import COMMON_SOLVER
from bench.evidence.statistics import exact_cells
from bench.evidence.statistics.selection import best_samplers
from bench.experiment.cells import SCORING, Cell, cells, own_grid
from bench.experiment.spec import Experiment
from bench.registry import aside
from bench.sampling.solvers.catalogue import SOLVERS


@aside("chooses cells; each has a digest of its own")
def scored_cells(
    experiment: Experiment, dataset: str, label: str, seed: int, screens: pd.DataFrame
) -> tuple[Cell, ...]:
    """The cells of one model in the noise bank ``scoring``, in the order of the experiment.

    These are the ``sweep.screen.best`` candidates at each number of evaluations, and the common
    solver on its own grid.

    Args:
        experiment: with ``sweep.screen``.
        dataset, label, seed: the model.
        screens: rows that the screens of the label have written, of all seeds that have one.

    Raises:
        ValueError: the screens have no value of the primary metric.
    """
    assert experiment.sweep.screen is not None
    found = exact_cells(screens, experiment.described(dataset).primary)
    by_cost = best_samplers(found, seed, experiment.sweep.screen.best)
    if not by_cost:
        raise ValueError(f"no screen of {label} on {dataset} has a value to choose by")
    chosen = {
        (solver, grid, tolerance, 0 if tolerance else nfe)
        for (*_, nfe), candidates in by_cost.items()
        for solver, grid, _, tolerance in candidates
    }
    formulation = experiment.formulation(label)
    common = (COMMON_SOLVER, own_grid(formulation, SOLVERS[COMMON_SOLVER]))
    return tuple(
        cell
        for cell in cells(experiment, formulation)
        if cell.bank == SCORING
        and cell.refused is None
        and (
            (cell.solver, cell.grid) == common
            or (cell.solver, cell.grid, cell.tolerance or 0.0, cell.nfe or 0) in chosen
        )
    )
