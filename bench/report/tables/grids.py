"""Grids against the solver's own: the table ``grids``."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from bench.evidence.statistics import student_t
from bench.report.by_evaluations import bank_note, compared_bank
from bench.report.declared import DeclaredTable
from bench.report.numbers import MISSING, bracket, plain, scaled, seeds
from bench.report.solver_orders import CATALOGUE, by_names
from bench.report.study import SETUP, Panel, Study
from bench.report.table import BLOCK, INTERVAL_COLUMNS, INTERVAL_NOTE, Table, columns_of
from bench.sampling.solvers.catalogue import SOLVERS


def grids(study: Study) -> Table:
    """What another grid than its own makes of each solver, and what it cost to set up."""
    data, text = [], []
    for panel in study.panels:
        ratios = _grid_ratios(study, panel)
        for (solver, grid), sampler_ratios in by_names(ratios, "solver", "grid"):
            spent = _setup(study, panel, solver, grid)
            line = {BLOCK: panel.title, "solver": SOLVERS[solver].title, "grid": grid}
            for nfe, cell in sampler_ratios.groupby("nfe", sort=True):
                interval = student_t(cell["ratio"], "log")
                line[f"NFE {nfe}"] = (
                    f"{plain(interval.estimate)}{seeds(interval.n, study.expected(panel))}\n"
                    f"{bracket(interval).partition(' ')[2]}\n"
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
                        **columns_of(interval, study.expected(panel)),
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
        f"{bank_note(study)}{INTERVAL_NOTE}"
        if text
        else "Every solver has run on its own grid alone: sweep.grids names no other."
    )
    frame = pd.DataFrame(text).fillna(MISSING)
    return Table("grids", "Grids against the solver's own", caption, pd.DataFrame(data), frame)


def _grid_ratios(study: Study, panel: Panel) -> pd.DataFrame:
    """Columns solver, grid, nfe, train_seed, ratio (over formulations) and formulations."""
    cells = panel.of(study.cells)
    cells = cells[(cells["noise_bank"] == compared_bank(study, panel)) & (cells["value"] > 0)]
    keys = ["label", "solver", "nfe_requested", "train_seed", "sampled_path"]
    names = {
        (label, solver): study.own_grid(panel, label, solver)
        for label, solver in set(zip(cells["label"], cells["solver"], strict=True))
    }
    named = [names[pair] for pair in zip(cells["label"], cells["solver"], strict=True)]
    is_own = cells["grid"].to_numpy() == np.array(named, dtype=object)
    pairs = cells[~is_own].merge(cells[is_own], on=keys, suffixes=("", "_own"))
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


TABLE = DeclaredTable(
    section="solvers",
    rank=20,
    build=grids,
    columns=(
        "experiment", "dataset", "solver", "grid", "nfe", "metric", *INTERVAL_COLUMNS,
        "formulations", "setup_evaluations",
    ),
)  # fmt: skip
