"""Orders of convergence, declared and measured: the table ``convergence``."""

from __future__ import annotations

import math

import pandas as pd

from bench.experiment.cells import EXACT
from bench.report.declared import DeclaredTable
from bench.report.numbers import MISSING
from bench.report.solver_orders import (
    FAMILIES,
    by_names,
    convergence_runs,
    measured_order,
)
from bench.report.study import Study
from bench.report.table import BLOCK, MISMATCH, Table
from bench.sampling.order import ROUNDING
from bench.sampling.solvers.catalogue import SOLVERS

ORDER_TOLERANCE = 0.2
"""Largest difference of a measured order from the declared one."""


def convergence(study: Study) -> Table:
    """Declared and measured order of every solver, on each path."""
    data, text = [], []
    for experiment in study.experiments:
        several = f" ({experiment.name})" if len(study.experiments) > 1 else ""
        experiment_runs = convergence_runs(study, experiment.name)
        for (solver, grid), sampler_runs in by_names(experiment_runs, "solver", "grid"):
            declared = SOLVERS[solver].order
            line = {
                BLOCK: FAMILIES[SOLVERS[solver].family] + several,
                "solver": SOLVERS[solver].title,
                "grid": grid or MISSING,
                "declared order": MISSING if declared is None else str(declared),
            }
            for (label,), runs in by_names(sampler_runs, "label"):
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


TABLE = DeclaredTable(
    section="solvers",
    rank=10,
    build=convergence,
    columns=(
        "experiment", "label", "solver", "grid", "order_declared", "order_measured",
        "intervals_most", "error_least",
    ),
)  # fmt: skip
