"""The three straightness figures: the figure ``straightness``."""

from __future__ import annotations

import numpy as np
from matplotlib.lines import Line2D

from bench.report.declared import DeclaredFigure
from bench.report.drawing import Drawn, all_labels, errors, legend, wrapped
from bench.report.study import Study
from bench.report.style import FAINT, FLOOR, INK, look_of, new_figure
from bench.report.titles import STRAIGHTNESS, metric_title


def straightness(study: Study) -> Drawn:
    """The three straightness figures, a row a formulation."""
    panels = [
        panel
        for panel in study.panels
        if any(len(study.rows(panel, label, m)) for label in study.labels(panel)
               for m in STRAIGHTNESS)
    ]  # fmt: skip
    if not panels:
        return "No model has a trajectory to measure."
    labels = [
        label
        for label in all_labels(study)
        if any(label in study.labels(p) and study.has_flow(p, label) for p in panels)
    ]
    figure = new_figure(11, 0.6 + len(panels) * (0.95 + 0.26 * len(labels)))
    grid = figure.subplots(len(panels), 3, sharey=True, squeeze=False)
    straight = {"arc_over_chord": 1.0}
    for row, panel in zip(grid, panels, strict=True):
        for axes, metric in zip(row, STRAIGHTNESS, strict=True):
            axes.set_title(f"{panel.title}\n{wrapped(metric_title(metric), 44)}", fontsize=9,
                           fontweight="normal")  # fmt: skip
            axes.axvline(straight.get(metric, 0.0), color=FLOOR, linewidth=1.1)
            for place, label in enumerate(labels):
                look = look_of(label)
                values = study.rows(panel, label, metric)["value"].astype(float)
                point = study.model_metric(panel, label, metric)
                if not point.n:
                    axes.text(0.98, place, "missing", transform=axes.get_yaxis_transform(),
                              ha="right", va="center", color=FAINT, fontsize=8)  # fmt: skip
                    continue
                axes.scatter(values, np.full(len(values), place + 0.22), s=7, color=look.colour,
                             alpha=0.55, linewidths=0)  # fmt: skip
                axes.errorbar([point.estimate], [place], xerr=errors([point]), color=look.colour,
                              marker=look.marker, capsize=3, linestyle="none")  # fmt: skip
            seen = [x for label in labels for x in study.rows(panel, label, metric)["value"]]
            if seen:
                zero = straight.get(metric, 0.0)
                span = max(*seen, zero + 1e-6) - zero
                axes.set_xlim(min(*seen, zero) - 0.05 * span, zero + 1.35 * span)
            axes.set_yticks(range(len(labels)), [study.titles[label] for label in labels])
            axes.set_ylim(len(labels) - 0.4, -0.6)
            axes.grid(visible=False, axis="y")
    legend(
        figure,
        [
            Line2D([], [], color=INK, marker="o", label="mean and 95% interval over seeds"),
            Line2D([], [], color=INK, marker="o", markersize=3, linestyle="none", alpha=0.55,
                   label="one seed"),
            Line2D([], [], color=FLOOR, linewidth=1.1, label="straight"),
        ],
        3,
    )  # fmt: skip
    return figure


FIGURE = DeclaredFigure(
    title="Straightness of trajectories",
    caption=(
        "Three figures of straightness, from a fine solve; lower is straighter, and the vertical "
        "line is straight. They answer different questions and may disagree. Marker and bar: mean "
        "and 95% Student t interval over training seeds, cut at the frame; dots: single seeds. "
        "Consistency models and flow maps have no trajectory, and no row."
    ),
    section="geometry",
    rank=10,
    draw=straightness,
)
