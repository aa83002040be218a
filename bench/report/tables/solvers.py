"""Tables of the solvers themselves: evaluations audited, orders of convergence, grids compared."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bench.evidence.audit import CONVERGENCE, by_tolerance, fixed_cost, intervals
from bench.evidence.statistics import student_t
from bench.experiment.cells import EXACT
from bench.report.numbers import MISSING, bracket, plain, scaled, seeds, tick
from bench.report.study import SETUP, Panel, Study
from bench.report.tables.table import (
    BLOCK,
    INTERVAL_NOTE,
    MISMATCH,
    REFUSAL,
    REFUSED,
    Table,
    columns_of,
    short_reason,
)
from bench.sampling.order import ROUNDING, order
from bench.sampling.solvers.catalogue import SOLVERS

CATALOGUE = {name: place for place, name in enumerate(SOLVERS)}
"""Place of each solver in the catalogue, which tables and figures keep."""


def _by(rows: pd.DataFrame, *columns: str) -> Iterator[tuple[list[str], pd.DataFrame]]:
    """Rows by columns that hold names, in the order in which they come."""
    for key, mine in rows.groupby(list(columns), sort=False):
        yield list(map(str, key)), mine


# --- evaluations ---------------------------------------------------------------------------------


def audit(study: Study) -> Table:
    """Evaluations asked for, declared and counted, for every solver at every cost."""
    fixed = _fixed(study)
    adaptive = _adaptive(study)
    text = [*_fixed_text(fixed), *_adaptive_text(adaptive)]
    wrong = int(fixed["wrong"].sum()) if len(fixed) else 0
    verdict = (
        f"{wrong} cells do not agree: each is marked, and the run is not sound. "
        if wrong
        else "All cells agree. "
    )
    caption = (
        "Over all models, exact fields, grids, seeds, noise banks and data sets, timing included. "
        "First line: evaluations counted at the network for each sample, least to most. Below: "
        "what the catalogue declares, and how many cells were counted. "
        f"Refused: {REFUSAL}, or the reason that stands beside it. {verdict}"
        "Solvers with a tolerance declare nothing: mean over cells, and least to most over their "
        "batches."
    )
    data = pd.concat([fixed, adaptive], ignore_index=True)
    costs = [f"NFE {nfe}" for nfe in sorted(set(fixed["nfe_requested"]))]
    costs += [_tolerance(x) for x in sorted(set(adaptive["tolerance"]), reverse=True)]
    columns = [BLOCK, "solver", *costs, "refused because"]
    frame = pd.DataFrame(text, columns=columns).fillna(MISSING)
    return Table("audit", "Evaluations: asked for, declared, counted", caption, data, frame)


def _fixed(study: Study) -> pd.DataFrame:
    """A row a solver, cost of one evaluation of the model, and number of evaluations."""
    cells = fixed_cost(study.records)
    keys = ["solver", "evaluations", "nfe_requested"]
    cells = cells.assign(
        counted=cells["least"].notna(), failed=cells["least"].isna() & ~cells["refused"]
    )
    rows = cells.groupby(keys, as_index=False).agg(
        intervals=("intervals", "max"),
        declared=("declared", "max"),
        counted_least=("least", "min"),
        counted_most=("most", "max"),
        cells=("counted", "sum"),
        refused=("refused", "sum"),
        failed=("failed", "sum"),
        reason=("reason", lambda told: "; ".join(sorted(set(told.dropna())))),
        wrong=("wrong", lambda told: int((told != "").sum())),
        wrong_first=("wrong", lambda told: next((t for t in told if t), "")),
    )
    order = rows["solver"].map(CATALOGUE)
    return rows.assign(order=order).sort_values(["order", *keys[1:]]).drop(columns="order")


def _fixed_text(rows: pd.DataFrame) -> Iterator[dict[str, str]]:
    for (solver, each), mine in _by(rows, "solver", "evaluations"):
        line = {
            BLOCK: "Solvers of declared cost",
            "solver": SOLVERS[solver].title + ("" if each == "1" else " (guided)"),
        }
        for row in mine.to_dict("records"):
            line[f"NFE {row['nfe_requested']}"] = _fixed_cell(row)
        reasons = {short_reason(told) for told in mine["reason"] if told}
        yield line | {"refused because": "; ".join(sorted(reasons)) or MISSING}


def _fixed_cell(row: dict[Hashable, Any]) -> str:
    refused = f"{row['refused']} refused" if row["refused"] else ""
    if row["wrong"]:
        return f"{MISMATCH}: {row['wrong']} cells\n{row['wrong_first']}"
    if not row["cells"]:
        return f"{REFUSED}\n{row['refused']} cells" if refused else MISSING
    count = f"{row['intervals']:.0f} interval{'s' if row['intervals'] > 1 else ''}"
    told = f"declared {row['declared']:.0f}: {count}"
    cells = ", ".join(filter(None, (f"{row['cells']:,} cells", refused)))
    return f"{_span(row['counted_least'], row['counted_most'])}\n{told}\n{cells}"


def _span(least: float, most: float) -> str:
    return f"{least:.0f}" if least == most else f"{least:.0f} to {most:.0f}"


def _adaptive(study: Study) -> pd.DataFrame:
    """A row a solver and tolerance."""
    cells = by_tolerance(study.records)
    rows = cells.groupby(["solver", "tolerance"], as_index=False).agg(
        counted_mean=("mean", "mean"),
        counted_least=("least", "min"),
        counted_most=("most", "max"),
        cells=("mean", "size"),
    )
    return rows.assign(order=rows["solver"].map(CATALOGUE)).sort_values(
        ["order", "tolerance"], ascending=[True, False]
    ).drop(columns="order")  # fmt: skip


def _tolerance(value: float) -> str:
    return f"tolerance {tick(float(value))}"


def _adaptive_text(rows: pd.DataFrame) -> Iterator[dict[str, str]]:
    for (solver,), mine in _by(rows, "solver"):
        line = {BLOCK: "Solvers with a tolerance", "solver": SOLVERS[solver].title}
        for row in mine.to_dict("records"):
            span = _span(float(row["counted_least"]), float(row["counted_most"]))
            mean = plain(float(row["counted_mean"]))
            line[_tolerance(row["tolerance"])] = f"{mean}\n{span}\n{row['cells']:,} cells"
        yield line


# --- order of convergence ------------------------------------------------------------------------

ORDER_TOLERANCE = 0.2
"""Largest difference of a measured order from the declared one."""

FAMILIES = {
    "fixed": "Runge-Kutta and Adams methods",
    "adaptive": "adaptive methods, equal steps",
    "exponential": "exponential integrators",
    "stochastic": "stochastic solvers, in law",
}


def convergence_runs(study: Study, experiment: str) -> pd.DataFrame:
    """Solves of an exact flow: columns label, solver, grid, intervals and value, in order.

    A solver of fixed cost was asked for evaluations, from which its intervals follow; one of
    data-dependent cost was asked for equal steps.
    """
    rows = study.records
    keep = (
        (rows["experiment"] == experiment)
        & (rows["metric"] == CONVERGENCE)
        & (rows["status"] == "ok")
    )
    rows = rows[keep.fillna(False)].dropna(subset=["value", "nfe_requested"])
    asked = rows["nfe_requested"].astype(int)
    counts = [
        nfe if SOLVERS[solver].cost is None else intervals(solver, nfe, 1)
        for solver, nfe in zip(rows["solver"], asked, strict=True)
    ]
    rows = rows[["label", "solver", "grid"]].assign(
        intervals=np.array(counts, dtype=float),
        value=rows["value"].astype(float),
        order=rows["solver"].map(CATALOGUE),
    )
    rows = rows.dropna(subset="intervals").fillna({"grid": ""})
    return rows.sort_values(["order", "grid", "label", "intervals"]).drop(columns="order")


class Solve(NamedTuple):
    """A solve of an exact flow, as it was recorded."""

    intervals: float
    error: float


def measured_order(runs: pd.DataFrame) -> float:
    """Order of convergence of solves with columns ``intervals`` and ``value``, their error."""
    runs = runs.sort_values("intervals")
    return order([Solve(*row) for row in zip(runs["intervals"], runs["value"], strict=True)])


def convergence(study: Study) -> Table:
    """Declared and measured order of every solver, on each path."""
    data, text = [], []
    for experiment in study.experiments:
        several = f" ({experiment.name})" if len(study.experiments) > 1 else ""
        found = convergence_runs(study, experiment.name)
        for (solver, grid), mine in _by(found, "solver", "grid"):
            declared = SOLVERS[solver].order
            line = {
                BLOCK: FAMILIES[SOLVERS[solver].family] + several,
                "solver": SOLVERS[solver].title,
                "grid": grid or MISSING,
                "declared order": MISSING if declared is None else str(declared),
            }
            for (label,), runs in _by(mine, "label"):
                measured = measured_order(runs)
                off = declared is not None and abs(measured - declared) > ORDER_TOLERANCE
                shown = MISSING if math.isnan(measured) else f"{measured:.2f}"
                line[label.removeprefix(f"{EXACT}.")] = f"{MISMATCH}: {shown}" if off else shown
                data.append(
                    {
                        "experiment": experiment.name,
                        "label": label,
                        "solver": solver,
                        "grid": grid,
                        "order_declared": declared,
                        "order_measured": measured,
                        "intervals_most": int(runs["intervals"].max()),
                        "error_least": runs["value"].min(),
                    }
                )
            text.append(line)
    caption = (
        "Order of convergence on an exact flow in the plane, in float64, over an interior interval "
        "of log_snr; a column a path. Measured: slope of log error over log intervals between the "
        f"two finest solves whose error is above rounding ({ROUNDING:g}). The error is the RMSE of "
        "end points to a reference from the same starts; of stochastic solvers, the Wasserstein-2 "
        "distance of their law to the exact one, on a Gaussian. Adaptive methods take equal steps "
        "and accept each. Declared orders count the start-up. A measured order more than "
        f"{ORDER_TOLERANCE:g} from the declared one is marked as a mismatch."
        if text
        else "No order was measured: the experiment has no section 'convergence'."
    )
    return Table(
        "convergence",
        "Order of convergence",
        caption,
        pd.DataFrame(data),
        pd.DataFrame(text).fillna(MISSING),
    )


# --- grids ---------------------------------------------------------------------------------------


def grids(study: Study) -> Table:
    """What another grid than its own makes of each solver, and what it cost to set up."""
    data, text = [], []
    for panel in study.panels:
        ratios = _grid_ratios(study, panel)
        for (solver, grid), mine in _by(ratios, "solver", "grid"):
            spent = _setup(study, panel, solver, grid)
            line = {BLOCK: panel.title, "solver": SOLVERS[solver].title, "grid": grid}
            for nfe, cell in mine.groupby("nfe", sort=True):
                found = student_t(cell["ratio"], "log")
                line[f"NFE {nfe}"] = (
                    f"{plain(found.estimate)}{seeds(found.n, study.expected(panel))}\n"
                    f"{bracket(found).partition(' ')[2]}\n"
                    f"{int(cell['formulations'].max())} formulations"
                )
                data.append(
                    {
                        "experiment": panel.experiment,
                        "dataset": panel.dataset,
                        "solver": solver,
                        "grid": grid,
                        "nfe": nfe,
                        "metric": panel.primary,
                        **columns_of(found, study.expected(panel)),
                        "formulations": int(cell["formulations"].max()),
                        "setup_evaluations": spent,
                    }
                )
            text.append(line | {"set-up evaluations": scaled(spent)})
    caption = (
        "Primary metric on a grid over that on the solver's own one, which a formulation may name: "
        "below 1 the grid is better. Geometric mean over the formulations whose own grid is "
        "another, taken within a training seed, with the same noise on both sides. Set-up: "
        "evaluations in all, over samples, that making the grid took for a model (mean over "
        "models); they are not part of the NFE, and not of the training budget. "
        f"{INTERVAL_NOTE}"
        if text
        else "Every solver has run on its own grid alone: sweep.grids names no other."
    )
    frame = pd.DataFrame(text).fillna(MISSING)
    return Table("grids", "Grids against the solver's own", caption, pd.DataFrame(data), frame)


def _grid_ratios(study: Study, panel: Panel) -> pd.DataFrame:
    """Columns solver, grid, nfe, train_seed, ratio (over formulations) and formulations."""
    cells = panel.of(study.cells)
    cells = cells[(cells["noise_bank"] == "scoring") & (cells["value"] > 0)]
    keys = ["label", "solver", "nfe_requested", "train_seed", "sampled_path"]
    names = {
        (label, solver): study.own_grid(panel, label, solver)
        for label, solver in set(zip(cells["label"], cells["solver"], strict=True))
    }
    named = [names[pair] for pair in zip(cells["label"], cells["solver"], strict=True)]
    own = cells["grid"].to_numpy() == np.array(named, dtype=object)
    pairs = cells[~own].merge(cells[own], on=keys, suffixes=("", "_own"))
    logs = np.log(pairs["value"].astype(float) / pairs["value_own"].astype(float))
    pairs = pairs.assign(log=logs, order=pairs["solver"].map(CATALOGUE))
    by_seed = pairs.groupby(
        ["order", "solver", "grid", "nfe_requested", "train_seed"], as_index=False
    ).agg(ratio=("log", lambda values: math.exp(values.mean())), formulations=("log", "size"))
    return by_seed.rename(columns={"nfe_requested": "nfe"})


def _setup(study: Study, panel: Panel, solver: str, grid: str) -> float:
    """Evaluations that making a grid has taken, mean over models; 0 for one that needs none."""
    rows = study.measured(panel)
    keep = (rows["metric"] == SETUP) & (rows["solver"] == solver) & (rows["grid"] == grid)
    rows = rows[keep.fillna(False)]
    return (
        float(rows.groupby(["label", "train_seed"])["value"].first().mean()) if len(rows) else 0.0
    )
