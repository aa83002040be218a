"""Sampling trajectories in the plane: the figure ``trajectories``."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.lines import Line2D

from bench.report.arrays import first_file
from bench.report.declared import DeclaredFigure
from bench.report.drawing import Drawn, legend
from bench.report.study import Study
from bench.report.style import FAINT, INK, look_of, new_figure


def trajectories(study: Study) -> Drawn:
    """Trajectories of a fine solve in the plane, a panel a formulation."""
    traces = [
        (panel, label, arrays)
        for panel in study.panels
        if panel.kind == "vector"
        for label in study.labels(panel)
        if (arrays := first_file(study, panel, label, "trajectories.safetensors"))
    ]
    if not traces:
        return "No trajectories were kept with these records."
    columns = min(len(traces), 4)
    rows = math.ceil(len(traces) / columns)
    figure = new_figure(2.75 * columns, 0.5 + 2.9 * rows)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[len(traces) :]:
        axes.set_visible(False)
    for axes, (panel, label, arrays) in zip(grid, traces, strict=False):
        paths = np.asarray(arrays["trajectories"], dtype=float)[:, :64, :2]
        colour = look_of(label).colour
        axes.plot(paths[..., 0], paths[..., 1], color=colour, linewidth=0.6, alpha=0.6,
                  rasterized=True)  # fmt: skip
        axes.scatter(*paths[0].T, s=7, facecolors="white", edgecolors=FAINT, linewidths=0.6,
                     zorder=3)  # fmt: skip
        axes.scatter(*paths[-1].T, s=8, color=colour, edgecolors=INK, linewidths=0.3, zorder=4)
        reach = 1.05 * np.abs(paths).max()
        axes.set_xlim(-reach, reach)
        axes.set_ylim(-reach, reach)
        axes.set_aspect("equal")
        name = study.titles[label]
        axes.set_title(name if len(study.experiments) == 1 else f"{name}\n{panel.title}")
    legend(
        figure,
        [
            Line2D([], [], marker="o", markerfacecolor="white", markeredgecolor=FAINT,
                   linestyle="none", label="start (noise)"),
            Line2D([], [], marker="o", color=INK, linestyle="none", label="end (sample)"),
        ],
        2,
    )  # fmt: skip
    return figure


FIGURE = DeclaredFigure(
    title="Trajectories in the plane",
    caption=(
        "Sampling trajectories of the first training seed on a data set of points (of many "
        "dimensions: in the first two), from a fine solve of each model's own equation, all from "
        "the same noise."
    ),
    section="geometry",
    rank=20,
    draw=trajectories,
    from_arrays=True,
)
