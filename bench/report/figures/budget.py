"""Budgets by stage and core-seconds by kind: the figure ``budget``."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from bench.report.costs import budget_rows, cost_matrix
from bench.report.declared import DeclaredFigure
from bench.report.drawing import Drawn, all_labels, legend
from bench.report.numbers import plain
from bench.report.study import Study
from bench.report.style import FAINT, FLOOR, INK, look_of, new_figure

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
        experiment = study.experiment(panel)
        left.set_title(f"{panel.title}: share of one budget spent, by stage", fontsize=9)
        right.set_title(f"{panel.title}: measured core-seconds, all seeds", fontsize=9)
        for place, label in enumerate(labels):
            stages = rows.get((panel, label), pd.DataFrame())
            if stages.empty:
                _draw_none(left, place, elsewhere=study.is_foreign(panel, label))
            else:
                amount = experiment.amount(panel.dataset, label)
                _draw_stages(left, place, label, stages, amount)
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


def _draw_none(axes: Axes, place: int, *, elsewhere: bool) -> None:
    """Say why a label has no stages here."""
    reason = "trained elsewhere: not known" if elsewhere else "missing"
    axes.text(0.01, place, reason, transform=axes.get_yaxis_transform(), va="center",
              color=FAINT, fontsize=8)  # fmt: skip


def _draw_stages(axes: Axes, place: int, label: str, stages: pd.DataFrame, amount: float) -> None:
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


FIGURE = DeclaredFigure(
    title="Budget and cost",
    caption=(
        "Left: what each stage has spent, as a share of the one budget that every formulation is "
        "given; what a model needs upstream (a teacher, a first flow, its pairs) is charged to it. "
        "Right: measured core-seconds by kind of work, summed over seeds."
    ),
    section="cost",
    rank=10,
    draw=budget,
)
