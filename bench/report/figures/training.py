"""Training losses of every stage and seed: the figure ``training``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import cycle

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from bench.experiment.layout import Layout
from bench.report.declared import DeclaredFigure
from bench.report.drawing import Drawn, all_labels
from bench.report.study import Panel, Study
from bench.report.style import FAINT, INK, SOLID, Dash, look_of, new_figure, plain_log


def _losses(study: Study, panel: Panel, label: str) -> Iterator[tuple[str, int, pd.DataFrame]]:
    """Stage, seed and loss curve of every training stage."""
    layout: Layout | None = study.layout(panel)
    if layout is None:
        return
    for stage in study.experiment(panel).formulation(label).stages:
        for seed in study.experiment(panel).seeds:
            path = layout.stage(panel.dataset, label, seed, stage.name) / "training.csv"
            if stage.kind == "train" and path.is_file():
                yield stage.name, seed, pd.read_csv(path)


def training(study: Study) -> Drawn:
    """Training losses, a panel a formulation and data set, a line a seed and stage."""
    curves_by_model = {
        (panel, label): list(_losses(study, panel, label))
        for panel in study.panels
        for label in study.labels(panel)
    }
    if not any(curves_by_model.values()):
        return "No training curves were kept with these records."
    labels = all_labels(study)
    columns = min(len(labels), 6)
    blocks = math.ceil(len(labels) / columns)
    figure = new_figure(2.05 * columns, 0.4 + 2.0 * blocks * len(study.panels))
    grid = figure.subplots(blocks * len(study.panels), columns, squeeze=False)
    for axes in grid.ravel():
        axes.set_visible(False)
    for (panel, label), curves in curves_by_model.items():
        place = study.panels.index(panel) * blocks
        row, column = divmod(study.labels(panel).index(label), columns)
        axes = grid[place + row, column]
        axes.set_visible(True)
        axes.set_title(f"{panel.title}\n{study.titles[label]}", fontsize=8)
        axes.tick_params(labelsize=7)
        _draw_losses(axes, label, curves)
        if column == 0:
            axes.set_ylabel("loss of its objective", fontsize=8)
        axes.set_xlabel("updates", fontsize=8)
    return figure


EARLIER: tuple[Dash, ...] = (SOLID, (1.2, 1.2), (5, 1.5), (5, 1.5, 1.2, 1.5), (9, 2))
"""Dashes of a formulation's stages, the last stage first; beyond five they repeat, paler."""


def _draw_losses(axes: Axes, label: str, curves: Sequence[tuple[str, int, pd.DataFrame]]) -> None:
    if not curves:
        axes.text(0.5, 0.5, "missing", transform=axes.transAxes, ha="center", color=FAINT)
        return
    stages = list(dict.fromkeys(stage for stage, _, _ in curves))
    # The last stage, whose model is evaluated, is solid; the ones before it are dotted, dashed.
    dashes = dict(zip(reversed(stages), cycle(EARLIER), strict=False))
    pale = stages[: -len(EARLIER)]
    for stage, _, curve in curves:
        axes.plot(curve["update"], curve["loss"], color=look_of(label).colour, linewidth=0.8,
                  alpha=0.4 if stage in pale else 0.75, dashes=dashes[stage])  # fmt: skip
    if all((curve["loss"] > 0).all() for _, _, curve in curves):
        plain_log(axes, "y")
    if len(stages) > 1:
        handles = [Line2D([], [], color=INK, linewidth=0.9, dashes=dashes[s], label=s,
                          alpha=0.4 if s in pale else 1) for s in stages]  # fmt: skip
        axes.legend(handles=handles, fontsize=7, loc="best", handlelength=2.2, frameon=True,
                    framealpha=0.8, edgecolor="none")  # fmt: skip


FIGURE = DeclaredFigure(
    title="Training curves",
    caption=(
        "Training loss of every stage and seed. Objectives differ, so losses may not be compared "
        "between formulations; the curves show whether training was steady."
    ),
    section="cost",
    rank=20,
    draw=training,
    from_arrays=True,
)
