"""Quality against measured time: the figure ``quality_vs_wallclock``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.evidence.statistics import CANDIDATE
from bench.report.declared import DeclaredFigure
from bench.report.drawing import (
    Drawn,
    all_labels,
    baseline_handles,
    baselines,
    beyond,
    handles,
    legend,
    multiples,
    name_row,
    robust_axis,
)
from bench.report.floors import TRAIN
from bench.report.study import CROWDED, Panel, Study
from bench.report.style import FAINT, GREY, look_of, new_figure, plain_log
from bench.report.titles import metric_title

SAME_SECONDS = 0.05


Front = tuple[pd.DataFrame, pd.DataFrame]
"""Every timed sampler of a label, and those on its front."""


def pareto(study: Study, panel: Panel, label: str) -> Front:
    """All timed samplers of a label, and those on its front of seconds against quality.

    The front is chosen on the noise bank ``selection`` and valued on ``scoring``, so that its
    points are not the lucky ones. Seconds within :data:`SAME_SECONDS` of each other count as equal.

    Returns:
        Two frames with the columns seconds, value (geometric mean over seeds) and solver.
    """
    rows = study.rows(panel, label, panel.primary)
    rows = rows[
        rows["seconds_per_sample"].notna()
        & rows["train_seed"].notna()
        & (rows["reference_set"] != TRAIN).fillna(True)
        & (rows["value"] > 0)
    ]
    rows = rows.assign(
        log=np.log(rows["value"].astype(float)),
        seconds=rows["seconds_per_sample"].astype(float),
    )
    keys = [*CANDIDATE, "nfe_requested"]
    cells = rows.groupby([*keys, "noise_bank"], dropna=False)[["seconds", "log"]].mean()
    if cells.empty:
        nothing = pd.DataFrame(columns=["seconds", "value", "solver"])
        return nothing, nothing
    banks = {bank: cells.xs(bank, level="noise_bank") for bank in set(rows["noise_bank"])}
    scoring = banks.get("scoring", cells.iloc[:0])
    chosen_by = banks.get("selection", scoring)["log"].rename("chosen_by")
    scored = scoring.join(chosen_by, how="inner").reset_index()
    scored["value"] = np.exp(scored["log"])
    scored = scored.sort_values(["chosen_by", "seconds"], ignore_index=True)
    front, fastest = [], math.inf
    for index, seconds in scored["seconds"].items():
        if seconds < fastest * (1 - SAME_SECONDS):
            front.append(index)
            fastest = seconds
    return scored, scored.loc[front].sort_values("seconds")


def quality_vs_wallclock(study: Study) -> Drawn:
    """Primary metric against seconds a sample, with each formulation's Pareto front."""
    fronts = {
        panel: {label: pareto(study, panel, label) for label in study.labels(panel)}
        for panel in study.panels
    }
    timed = {
        panel: panel_fronts
        for panel, panel_fronts in fronts.items()
        if any(map(_is_timed, panel_fronts.values()))
    }
    if not timed:
        return "No cell has a measured time."
    small = Line2D([], [], color=FAINT, marker="o", markersize=3, linestyle="none", alpha=0.6,
                   label="every solver and NFE")  # fmt: skip
    if len(all_labels(study)) > CROWDED:
        return _grouped_by_time(study, timed, [small, *baseline_handles()])
    figure = new_figure(max(5.4, 5.2 * len(timed)), 5.0)
    grid = figure.subplots(1, len(timed), squeeze=False)[0]
    for axes, (panel, panel_fronts) in zip(grid, timed.items(), strict=True):
        axes.set_title(panel.title)
        baselines(axes, study, panel)
        unit, factor = _unit(panel_fronts)
        for label in panel_fronts:
            _draw_front(axes, panel_fronts, label, factor)
        axes.set_xlabel(f"measured {unit} a sample")
        plain_log(axes, "x")
        plain_log(axes, "y")
        axes.set_ylabel(metric_title(panel.primary))
    legend(figure, [*handles(study, all_labels(study)), small, *baseline_handles()], 3)
    return figure


def _is_timed(front: Front) -> bool:
    return len(front[0]) > 0


def _unit(fronts: Mapping[str, Front]) -> tuple[str, float]:
    """Milliseconds or microseconds, and how many of them a second has."""
    seconds = [s for every, _ in fronts.values() for s in every["seconds"]]
    return ("ms", 1e3) if float(np.median(seconds)) > 1e-3 else ("µs", 1e6)


def _draw_front(axes: Axes, fronts: Mapping[str, Front], label: str, factor: float) -> None:
    every, front = fronts[label]
    look = look_of(label)
    axes.scatter(
        factor * every["seconds"], every["value"], s=9, color=look.colour, alpha=0.35,
        marker=look.marker, linewidths=0, zorder=2,
    )  # fmt: skip
    axes.plot(factor * front["seconds"], front["value"], **look.line(), zorder=3)


def _grouped_by_time(
    study: Study, timed: Mapping[Panel, Mapping[str, Front]], more: Sequence[Line2D]
) -> Figure:
    """A row a data set, a column a kind of formulation, the fronts of the other kinds in grey."""
    figure, groups, grid = multiples(study, len(timed), 2.9, more)
    for row, (panel, fronts) in zip(grid, timed.items(), strict=True):
        unit, factor = _unit(fronts)
        seconds = [factor * s for every, _ in fronts.values() for s in every["seconds"]]
        values = [v for _, front in fronts.values() for v in front["value"]]
        for axes, group in zip(row, groups, strict=True):
            baselines(axes, study, panel)
            axes.set_xlim(min(seconds) / 1.2, max(seconds) * 1.2)
            plain_log(axes, "x")
            axes.set_xlabel(f"measured {unit} a sample")
            for label, (_, front) in fronts.items():
                if label in group.labels:
                    _draw_front(axes, fronts, label, factor)
                else:
                    axes.plot(factor * front["seconds"], front["value"], color=GREY, linewidth=1,
                              zorder=1.5)  # fmt: skip
            robust_axis(axes, study, panel, values)
            for label in filter(fronts.__contains__, group.labels):  # in one order, always
                front = fronts[label][1]
                places = (factor * front["seconds"]).tolist()
                beyond(axes, places, front["value"].tolist(), look_of(label).colour)
        name_row(row, panel, "")
    return figure


FIGURE = DeclaredFigure(
    title="Quality against measured time",
    caption=(
        "Primary metric against measured seconds a sample. Small points: every solver and NFE, "
        "geometric mean over seeds. Lines: the Pareto front of each formulation, chosen on one "
        "noise bank and valued on another; times within 5% count as equal. Times were measured in "
        "a stage of their own: warm-up, then the median over repeats. Many formulations are drawn "
        "a kind a column, with the fronts of all others in light grey; a value far above the rest "
        "is printed where its front leaves the frame."
    ),
    section="time",
    rank=10,
    draw=quality_vs_wallclock,
)
