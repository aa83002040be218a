"""Figure of the solvers themselves: error against intervals, on an exact flow."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatterSciNotation

from bench.report.declared import DeclaredFigure
from bench.report.drawing import Drawn
from bench.report.solver_orders import FAMILIES, convergence_runs, measured_order
from bench.report.study import Study
from bench.report.style import FAINT, SPARE_COLOURS, log_nfe, new_figure
from bench.sampling.solvers.catalogue import SOLVERS

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def convergence(study: Study) -> Drawn:
    """Error against intervals: a row an experiment, a column a family of solvers."""
    by_experiment = {e.name: convergence_runs(study, e.name) for e in study.experiments}
    by_experiment = {name: runs for name, runs in by_experiment.items() if len(runs)}
    if not by_experiment:
        return "No order of convergence was measured."
    swept = {SOLVERS[solver].family for runs in by_experiment.values() for solver in runs["solver"]}
    families = [family for family in FAMILIES if family in swept]
    figure = new_figure(3.4 * max(len(families), 2), 0.3 + 5.2 * len(by_experiment))
    grid = figure.subplots(len(by_experiment), len(families), squeeze=False, sharey="row")
    for row, (name, runs) in zip(grid, by_experiment.items(), strict=True):
        for axes, family in zip(row, families, strict=True):
            several = f"\n{name}" if len(by_experiment) > 1 else ""
            axes.set_title(FAMILIES[family] + several, fontweight="normal")
            family_runs = runs[[SOLVERS[s].family == family for s in runs["solver"]]]
            _draw_family(axes, family_runs, 0.3 * float(runs["value"].min()))
        row[0].set_ylabel("error on the exact flow")
    return figure


def _draw_family(axes: Axes, runs: pd.DataFrame, lowest: float) -> None:
    """A solver a colour, with its slope in the legend; a line a path, the first one in front."""
    axes.set_xlabel("intervals")
    samplers = list(dict.fromkeys(zip(runs["solver"], runs["grid"], strict=True)))
    several = {solver for solver, _ in samplers if sum(s == solver for s, _ in samplers) > 1}
    for place, (solver, grid) in enumerate(samplers):
        sampler_runs = runs[(runs["solver"] == solver) & (runs["grid"] == grid)]
        colour = SPARE_COLOURS[place % len(SPARE_COLOURS)]
        paths = [path for _, path in sampler_runs.groupby("label")]
        for index, path in enumerate(paths):
            front = index == 0
            axes.plot(
                path["intervals"], path["value"], color=colour, zorder=3 if front else 2,
                marker=MARKERS[place % len(MARKERS)] if front else "", markersize=4,
                linewidth=1.4 if front else 0.7, alpha=1.0 if front else 0.45,
            )  # fmt: skip
        orders = [measured_order(path) for path in paths]
        name = SOLVERS[solver].title + (f", {grid}" if solver in several else "")
        axes.plot([], [], color=colour, marker=MARKERS[place % len(MARKERS)], markersize=4,
                  label=f"{name}: {_slopes(orders)}")  # fmt: skip
    if len(runs):
        log_nfe(axes, runs["intervals"].astype(int))
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(LogFormatterSciNotation())
        _guides(axes, runs, sorted({SOLVERS[s].order or 0 for s, _ in samplers} - {0}), lowest)
    axes.legend(
        title="slope", alignment="left", fontsize=8, handlelength=2, loc="upper left",
        bbox_to_anchor=(0, -0.16), borderpad=0,
    )  # fmt: skip


def _slopes(orders: list[float]) -> str:
    """Measured orders of the paths: one number, or their range."""
    finite_orders = [order for order in orders if not math.isnan(order)]
    if not finite_orders:
        return "below rounding"
    low, high = f"{min(finite_orders):.2f}", f"{max(finite_orders):.2f}"
    return low if low == high else f"{low} to {high}"


def _guides(axes: Axes, runs: pd.DataFrame, orders: list[int], lowest: float) -> None:
    """Faint lines of the declared slopes, from the largest error of the fewest intervals."""
    first, last = runs["intervals"].min(), runs["intervals"].max()
    start = runs[runs["intervals"] == first]["value"].max()
    for order in orders:
        end = min(last, first * (start / lowest) ** (1 / order))
        y = start * (end / first) ** -order
        axes.plot([first, end], [start, y], color=FAINT, linewidth=0.7, dashes=(2, 2), zorder=1)
        axes.text(end, y, f" {order}", color=FAINT, fontsize=8, va="center")


FIGURE = DeclaredFigure(
    title="Order of convergence",
    caption=(
        "Error on an exact flow in float64 against the number of intervals: RMSE of end points, "
        "and of stochastic solvers the Wasserstein-2 distance of laws. An adaptive method takes "
        "equal steps here and accepts each. A colour a solver, a line a path: the first with "
        "markers, the others thin. Dashed grey lines fall with the slopes that are written at "
        "their ends. The legend has the measured slope of each solver, or its range over the "
        "paths, between the two finest solves whose error is above rounding."
    ),
    section="solvers",
    rank=10,
    draw=convergence,
)
