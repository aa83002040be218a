"""The audit of evaluations: asked for, declared and counted, cell by cell. Torch-free.

A cell was asked for a number of evaluations; the catalogue declares how many intervals spend it and
what they cost; the count was taken at the network while it ran. The three must agree in every cell,
and a cell whose solver cannot spend the number, or has no score to read, must say so.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import pandas as pd

from bench.errors import RefusedNfeError
from bench.evidence.columns import forwards
from bench.experiment.cells import lacks_score
from bench.formulations.grammar import Conditional
from bench.sampling.solvers.catalogue import SOLVERS

CELL = (
    *("experiment", "dataset", "label", "train_seed", "noise_bank"),
    *("solver", "grid", "sampled_path"),
)
"""What sets cells of one cost apart."""

CONVERGENCE = "convergence_rmse"
"""Metric of the proofs of order: solves of the exact field of lengths that no sweep asks for."""

LIKELIHOODS = ("nll", "nll_exact", "nll_gap", "nll_probe_se", "bits_per_dim")
"""Metrics of another equation: its evaluations are not those of samples."""


def evaluations(guidance: float) -> int:
    """Network evaluations that one evaluation of a model costs, from the column of its guidance."""
    told = 1.0 if pd.isna(guidance) else guidance
    return Conditional(dropout=0.0, guidance=told).evaluations


@functools.cache
def intervals(solver: str, requested: int, each: int) -> int | None:
    """Intervals that spend ``requested`` evaluations, or None where no number of them does."""
    try:
        return SOLVERS[solver].intervals_for(requested, each)
    except RefusedNfeError:
        return None


def fixed_cost(table: pd.DataFrame) -> pd.DataFrame:
    """One row a cell that was asked for a number of evaluations.

    Args:
        table: records.

    Returns:
        Columns of :data:`CELL`, ``nfe_requested``, ``evaluations`` (what one evaluation of the
        model costs), ``intervals`` and ``declared`` (NaN where the cell must be refused), ``least``
        and ``most`` (counted; NaN without a count), ``refused``, ``reason``, and ``wrong``: what
        does not agree, or an empty string.
    """
    rows = _sampling(table)
    rows = rows[rows["nfe_requested"].notna()]
    done, refused = rows["status"] == "ok", rows["status"] == "refused"
    counts = rows[["nfe", "nfe_min", "nfe_max"]].where(done)
    rows = rows[[*CELL, "nfe_requested", "formulation", "guidance", "coupling"]].assign(
        least=counts.min(axis=1),
        most=counts.max(axis=1),
        uncounted=done & rows["nfe"].isna(),
        refused=refused,
        reason=rows["error"].where(refused),
    )
    cells = rows.groupby([*CELL, "nfe_requested"], dropna=False, sort=False, as_index=False).agg(
        formulation=("formulation", "first"),
        guidance=("guidance", "first"),
        coupling=("coupling", "first"),
        least=("least", "min"),
        most=("most", "max"),
        uncounted=("uncounted", "any"),
        refused=("refused", "any"),
        all_refused=("refused", "all"),
        reason=("reason", "first"),
    )
    cells = cells.astype({"nfe_requested": int} | dict.fromkeys(("least", "most"), "float64"))
    checks = [_checked(cell) for cell in cells.itertuples(index=False)]
    told = pd.DataFrame(checks, columns=["evaluations", "intervals", "declared", "wrong"])
    told = told.astype(dict.fromkeys(("intervals", "declared"), "float64"))
    columns = [*CELL, "nfe_requested", "least", "most", "refused", "reason"]
    return cells[columns].join(told)


def _checked(cell: Any) -> tuple[int, float, float, str]:
    """Evaluations each, intervals and declared cost of a cell, and what does not agree."""
    solver = SOLVERS[cell.solver]
    each = evaluations(cell.guidance) * forwards(cell.formulation)
    lacking = not pd.isna(cell.coupling) and lacks_score(solver, str(cell.coupling))
    count = None if lacking else intervals(solver.name, cell.nfe_requested, each)
    if count is None or solver.cost is None:
        told = "reads a score that there is not" if lacking else "cannot be hit"
        wrong = "" if cell.all_refused else f"{told}, and is not refused"
        return each, math.nan, math.nan, wrong
    cost = solver.cost(count) * each
    spent = sorted({count for count in (cell.least, cell.most) if not math.isnan(count)})
    if cell.refused:
        wrong = "can be hit, and is refused"
    elif cell.uncounted:
        wrong = "spent unknown evaluations"
    elif any(count != cost for count in spent):
        wrong = f"spent {', '.join(f'{count:g}' for count in spent)} evaluations"
    else:
        wrong = ""
    return each, count, cost, wrong


def by_tolerance(table: pd.DataFrame) -> pd.DataFrame:
    """One row a cell of a solver that was given a tolerance, with its counted evaluations.

    Returns:
        Columns of :data:`CELL`, ``tolerance``, ``mean``, ``least`` and ``most`` over batches.
    """
    rows = _sampling(table)
    done = rows["tolerance"].notna() & rows["nfe"].notna() & (rows["status"] == "ok")
    rows = rows[done & ~rows["metric"].isin(LIKELIHOODS)].astype(
        {"nfe": float, "nfe_min": "Float64", "nfe_max": "Float64"}
    )
    rows = rows.assign(
        nfe_min=rows["nfe_min"].fillna(rows["nfe"]), nfe_max=rows["nfe_max"].fillna(rows["nfe"])
    )
    return rows.groupby([*CELL, "tolerance"], dropna=False, sort=False, as_index=False).agg(
        mean=("nfe", "mean"), least=("nfe_min", "min"), most=("nfe_max", "max")
    )


def _sampling(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of solvers of the catalogue that were asked to draw samples."""
    keep = table["solver"].isin(list(SOLVERS)) & (table["metric"] != CONVERGENCE).fillna(True)
    return table[keep]


def wrong_evaluations(table: pd.DataFrame) -> list[str]:
    """A line for each cell whose evaluations asked for, declared and counted do not agree."""
    cells = fixed_cost(table)
    lines = []
    for cell in cells[cells["wrong"] != ""].to_dict("records"):
        names = [name for name in (*CELL[1:], "nfe_requested") if not pd.isna(cell[name])]
        where = " ".join(f"{name}={cell[name]}" for name in names)
        lines.append(f"cell {where}: {cell['wrong']}")
    return lines
