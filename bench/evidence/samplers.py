"""What a model is scored with: the sampler selected for it, or one common solver.

Tables, figures and claims ask here, so that all mean the same by both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from bench.evidence.statistics.selection import CANDIDATE, fixed_sampler, select_samplers
from bench.experiment.cells import SCORING
from bench.sampling.solvers.catalogue import SOLVERS

COMMON_SOLVER = "euler"

OwnGrid = Callable[[str, str], str]
"""The grid that :data:`COMMON_SOLVER` runs on where none is asked for: of experiment and label."""


def solvers_grid(experiment: str, label: str) -> str:
    """The common solver's own grid, which all models run on that name none themselves."""
    return SOLVERS[COMMON_SOLVER].grid


@dataclass(frozen=True)
class Samplers:
    """The cells of a metric, by what sampled them.

    Attributes:
        cells: of exact cost, see :func:`~bench.evidence.statistics.exact_cells`.
        own_grid: the grid of the common solver for each model.
    """

    cells: pd.DataFrame
    own_grid: OwnGrid

    @cached_property
    def selected(self) -> pd.DataFrame:
        """Each label, NFE and seed with the sampler chosen on the other seeds."""
        return select_samplers(self.cells)

    @cached_property
    def common(self) -> pd.DataFrame:
        """The same with the one common solver, on the grid that each formulation names."""
        cells = self.cells[self.cells["solver"] == COMMON_SOLVER]
        places = zip(cells["experiment"], cells["label"], cells["grid"], strict=True)
        on_own = [grid in ("", self.own_grid(str(e), str(label))) for e, label, grid in places]
        return fixed_sampler(cells[np.array(on_own, dtype=bool)], COMMON_SOLVER)


def rows_of_samplers(chosen: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Every metric of chosen cells in the scoring bank, one row a cell and metric.

    Args:
        chosen: cells of one experiment and data set, as :attr:`Samplers.selected` holds them.
        rows: records of that data set.

    Returns:
        The rows with ``nfe`` as in ``chosen``: the evaluations that the cell competes at.
    """
    keys = ["label", "train_seed", *CANDIDATE, "asked"]
    chosen = chosen[[*keys[:-1], "nfe"]]
    # An adaptive solver was asked for a tolerance, and for no number of evaluations.
    chosen = chosen.assign(asked=chosen["nfe"].where(chosen["tolerance"] == 0, 0))
    rows = rows[(rows["noise_bank"] == SCORING) & (rows["status"] == "ok")]
    rows = rows.fillna({"grid": "", "sampled_path": "", "tolerance": 0.0})
    rows = rows[(rows["tolerance"] > 0) | rows["nfe_requested"].notna()]
    rows = rows.drop(columns="nfe").rename(columns={"nfe_requested": "asked"})
    rows = rows.fillna({"asked": 0}).dropna(subset="train_seed")
    rows = rows.astype({"asked": int, "train_seed": int, "tolerance": float})
    return (
        chosen.astype({"asked": int, "train_seed": int})
        .merge(rows, on=keys, how="left")
        .drop(columns="asked")
    )
