"""A drawing of a grid of learning rates: how much each costs against the best of its row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bench.report.numbers import tick
from bench.report.style import new_figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

WORST = 2.0
"""Score over the best of the row at which the scale of colours ends."""


def draw(scores: pd.DataFrame, titles: Mapping[str, str], panels: Mapping[str, str]) -> Figure:
    """Heat maps, one a data set: a row a formulation, a column a rate, a score over the row's best.

    Args:
        scores: rows of :func:`bench.report.learning_rates.scores`; a rate without a score stays
            white.
        titles: of the labels.
        panels: titles of the data sets.
    """
    import seaborn  # heat maps are what it is for; nothing else of a report needs it

    best = scores.groupby(["dataset", "label"])["score"].transform("min")
    wide = scores.assign(over=scores["score"] / best)
    count = scores["label"].nunique()
    figure = new_figure(3.4 * len(panels) + 1.8, 0.34 * count + 1.3)
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    for place, (axes, (dataset, title)) in enumerate(zip(grid, panels.items(), strict=True)):
        rows = wide[wide["dataset"] == dataset]
        table = rows.pivot_table("over", index="label", columns="learning_rate", sort=False)
        seaborn.heatmap(
            table,
            ax=axes,
            vmin=1.0,
            vmax=WORST,
            cmap="viridis_r",
            annot=True,
            fmt=".2f",
            annot_kws={"size": 7},
            linewidths=0.5,
            xticklabels=[tick(float(rate)) for rate in table.columns],
            yticklabels=[titles[label] for label in table.index] if place == 0 else False,
            cbar=place == len(panels) - 1,
            cbar_kws={"label": "score over the best of the row", "extend": "max"},
        )
        axes.set(title=title, xlabel="learning rate", ylabel="")
        axes.grid(visible=False)
    return figure
