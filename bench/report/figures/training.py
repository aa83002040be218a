"""Figures of what the models have cost: training curves and budgets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bench.experiment.layout import Layout
from bench.report.figures.drawing import Drawn, all_labels, legend
from bench.report.figures.style import (
    FAINT,
    FLOOR,
    INK,
    SOLID,
    Dash,
    look_of,
    new_figure,
    plain_log,
)
from bench.report.numbers import plain
from bench.report.study import Panel, Study
from bench.report.tables.budget import budget_rows, cost_matrix


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
    found = {
        (panel, label): list(_losses(study, panel, label))
        for panel in study.panels
        for label in study.labels(panel)
    }
    if not any(found.values()):
        return "No training curves were kept with these records."
    labels = all_labels(study)
    columns = min(len(labels), 6)
    blocks = math.ceil(len(labels) / columns)
    figure = new_figure(2.05 * columns, 0.4 + 2.0 * blocks * len(study.panels))
    grid = figure.subplots(blocks * len(study.panels), columns, squeeze=False)
    for axes in grid.ravel():
        axes.set_visible(False)
    for (panel, label), curves in found.items():
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


STAGE_HATCHES = ("", "////", "\\\\\\\\", "xxxx", "----")


def budget(study: Study) -> Drawn:
    """Budget by stage against the plan, and measured core-seconds by kind."""
    rows = {
        (panel, label): budget_rows(study, panel, label)
        for panel in study.panels
        for label in study.labels(panel)
    }
    if all(stages.empty for stages in rows.values()):
        return "No model has a ledger."
    panels, labels = study.panels, all_labels(study)
    figure = new_figure(10.5, 1.0 + len(panels) * (0.9 + 0.3 * len(labels)))
    grid = figure.subplots(len(panels), 2, sharey=True, squeeze=False)
    costs = cost_matrix(study)
    kinds = [kind for kind in costs.columns if costs[kind].sum() > 0]
    greys = dict(zip(kinds, np.linspace(0.88, 0.25, len(kinds)), strict=True))
    for (left, right), panel in zip(grid, panels, strict=True):
        amount = study.experiment(panel).budget.amount[panel.dataset]
        left.set_title(f"{panel.title}: share of one budget spent, by stage", fontsize=9)
        right.set_title(f"{panel.title}: measured core-seconds, all seeds", fontsize=9)
        for place, label in enumerate(labels):
            _draw_stages(left, place, label, rows.get((panel, label), pd.DataFrame()), amount)
            key = (panel.experiment, panel.dataset, label)
            start = 0.0
            for kind in kinds:
                seconds = float(costs[kind].get(key, 0.0))
                right.barh(place, seconds, left=start, height=0.62, color=str(greys[kind]),
                           edgecolor="white", linewidth=0.5)  # fmt: skip
                start += seconds
        left.axvline(1.0, color=FLOOR, linewidth=1.1)
        left.set_xlabel("share of the budget (line: all of it)")
        right.set_xlabel("core-seconds")
        right.margins(x=0.04)
        for axes in (left, right):
            axes.set_yticks(range(len(labels)), [study.titles[label] for label in labels])
            axes.set_ylim(len(labels) - 0.4, -0.6)
            axes.grid(visible=False, axis="y")
    legend(
        figure,
        [Patch(facecolor=str(greys[k]), edgecolor="white", label=k) for k in kinds],
        len(kinds),
    )
    return figure


def _draw_stages(axes: Axes, place: int, label: str, stages: pd.DataFrame, amount: float) -> None:
    if stages.empty:
        axes.text(0.01, place, "missing", transform=axes.get_yaxis_transform(), va="center",
                  color=FAINT, fontsize=8)  # fmt: skip
        return
    start = 0.0
    for index, (stage, row) in enumerate(stages.iterrows()):
        share = float(row["spent"]) / amount
        hatch = STAGE_HATCHES[(len(stages) - 1 - index) % len(STAGE_HATCHES)]
        axes.barh(place, share, left=start, height=0.62, color=look_of(label).colour,
                  alpha=0.75, edgecolor="white", linewidth=0.8, hatch=hatch)  # fmt: skip
        axes.text(start + share / 2, place, f"{stage} {plain(100 * share)}%", ha="center",
                  va="center", fontsize=7.5 if len(stages) <= 3 else 6, color=INK,
                  bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 1})  # fmt: skip
        start += share
