"""What figures share: labels, legends, baselines and error bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from numpy.typing import NDArray

from bench.evidence.statistics import Interval
from bench.report.numbers import plain
from bench.report.study import Panel, Study
from bench.report.style import FAINT, FLOOR, GREY, Look, look_of, new_figure, plain_log
from bench.report.titles import REAL, metric_title

Drawn = Figure | str
Array = NDArray[np.float64]

BASELINES: tuple[tuple[str, str, Literal["-", ":"]], ...] = (
    (REAL, "real samples (floor, 95% of draws)", "-"),
    ("floor.gaussian", "fitted Gaussian", ":"),
)


ROOM = 1.35
"""Factor that is left free beyond the lowest and the highest line."""


def all_labels(study: Study) -> list[str]:
    """Labels of all panels, in the order of the files."""
    return list(dict.fromkeys(label for panel in study.panels for label in study.labels(panel)))


@dataclass(frozen=True)
class Group:
    """Formulations of one kind: a column of small multiples."""

    title: str
    labels: tuple[str, ...]


def groups(study: Study) -> list[Group]:
    """Formulations by kind, both in the order of the files."""
    by_kind: dict[str, dict[str, None]] = {}
    for panel in study.panels:
        for label in study.labels(panel):
            by_kind.setdefault(study.kind(panel, label), {})[label] = None
    return [Group(title, tuple(labels)) for title, labels in by_kind.items()]


def multiples(
    study: Study, rows: int, height: float, more: Sequence[Line2D]
) -> tuple[Figure, list[Group], Array]:
    """A figure with a column a group, its legend above it; ``more`` entries stand below.

    Returns:
        The figure, its groups, and its axes ``[rows, groups]``.
    """
    shown_groups = groups(study)
    header = 0.22 * (1 + max(len(group.labels) for group in shown_groups))
    figure = new_figure(max(2.9 * len(shown_groups), 5.8), header + height * rows + 0.3)
    ratios = [header, *[height] * rows]
    grid = figure.subplots(1 + rows, len(shown_groups), squeeze=False, height_ratios=ratios)
    for axes, group in zip(grid[0], shown_groups, strict=True):
        axes.axis("off")
        axes.legend(
            handles=handles(study, group.labels), title=group.title, loc="lower left",
            alignment="left", handlelength=3.2, borderpad=0,
            title_fontproperties={"weight": "bold", "size": 10},
        )  # fmt: skip
    grey_line = Line2D([], [], color=GREY, linewidth=1, label="formulations of the other columns")
    entries = [grey_line, *more]
    figure.legend(handles=entries, loc="outside lower center", ncols=len(entries), handlelength=3)
    return figure, shown_groups, grid[1:]


def fence(values: Sequence[float]) -> float:
    """The largest of some positive values that is not far out.

    Far out, after Tukey: above the upper quartile by more than three times the distance of the
    quartiles, on the log scale.
    """
    logs = np.log([value for value in values if value > 0 and math.isfinite(value)])
    low, high = np.quantile(logs, [0.25, 0.75])
    return float(np.exp(logs[logs <= high + 3 * (high - low)].max()))


CLOSE = 1.5
"""Distance on a logarithmic axis, in e-folds, below which two printed values would overlap."""


def beyond(axes: Axes, x: Sequence[float], y: Sequence[float], colour: str) -> None:
    """Print the values that lie above the frame where they leave it."""
    left, right = axes.get_xlim()
    for place, value in zip(x, y, strict=True):
        if value > axes.get_ylim()[1]:
            printed = [text.xy[0] for text in axes.texts if isinstance(text, Annotation)]
            line = sum(abs(math.log(printed_place / place)) < CLOSE for printed_place in printed)
            middle = place > math.sqrt(left * right)
            axes.annotate(
                f"{plain(value)} ↑", (place, 1), xycoords=axes.get_xaxis_transform(),
                xytext=(-4 if middle else 4, -2 - 9 * line), textcoords="offset points",
                ha="right" if middle else "left", va="top", fontsize=7, color=colour, zorder=4,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.4},
            )  # fmt: skip


def nothing(axes: Axes, word: str) -> None:
    """A faint word in the middle of axes that show nothing."""
    axes.text(0.5, 0.5, word, transform=axes.transAxes, ha="center", color=FAINT)


def handles(study: Study, labels: Sequence[str]) -> list[Line2D]:
    """Legend entries of formulations."""
    return [Line2D([], [], label=study.titles[name], **look_of(name).line()) for name in labels]


def baseline_handles() -> list[Line2D]:
    """Legend entries of floor and fitted Gaussian."""
    return [
        Line2D([], [], color=FLOOR, linewidth=1.1, linestyle=style, label=name)
        for _, name, style in BASELINES
    ]


def legend(figure: Figure, entries: Sequence[Any], columns: int) -> None:
    """One legend above all panels, in at most ``columns`` columns: as many as there is room for."""
    for count in range(columns, 0, -1):
        drawn = figure.legend(
            handles=entries, loc="outside upper center", ncols=count, handlelength=3.2
        )
        if count == 1 or drawn.get_window_extent().width <= figure.bbox.width:
            return
        drawn.remove()


def baselines(axes: Axes, study: Study, panel: Panel) -> None:
    """Floor and fitted Gaussian as horizontal lines; the floor with the band of real samples."""
    for label, _, style in BASELINES:
        level = study.floors.level(panel, label)
        if level is None:
            continue
        axes.axhline(level.value, color=FLOOR, linewidth=1.1, linestyle=style, zorder=1)
        if label == REAL and math.isfinite(level.high - level.low):
            axes.axhspan(level.low, level.high, color=FLOOR, alpha=0.14, linewidth=0, zorder=0)


def errors(points: Sequence[Interval]) -> Array:
    """Distances from the estimate to the bounds, ``[2, n]``; zero where there is no interval."""
    centre = np.array([p.estimate for p in points])
    bounds = np.array([[p.low for p in points], [p.high for p in points]])
    return np.nan_to_num(np.abs(bounds - centre))


def wrapped(text: str, width: int = 28) -> str:
    """``text`` broken into lines of about ``width`` letters."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > width and lines[-1]:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return "\n".join(lines)


def draw_curve(axes: Axes, look: Look, x: Sequence[float], points: Sequence[Interval]) -> None:
    """A line with a band for the interval; a lone point gets a bar."""
    y = [p.estimate for p in points]
    axes.plot(x, y, **look.line(), zorder=3)
    if len(x) > 1:
        low = [p.low if math.isfinite(p.low) else p.estimate for p in points]
        high = [p.high if math.isfinite(p.high) else p.estimate for p in points]
        axes.fill_between(x, low, high, color=look.colour, alpha=0.16, linewidth=0, zorder=2)
    else:
        axes.errorbar(x, y, yerr=errors(points), color=look.colour, capsize=2, zorder=2)


def frame(axes: Axes) -> None:
    """Limits that hold every line; a wide band may leave the frame."""
    heights = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.lines])
    heights = heights[np.isfinite(heights) & (heights > 0)]
    if len(heights):
        axes.set_ylim(heights.min() / ROOM, heights.max() * ROOM)


def robust_axis(axes: Axes, study: Study, panel: Panel, values: Sequence[float]) -> None:
    """A logarithmic axis that is the same along a row, and leaves out values that are far out."""
    levels = [level.value for name, *_ in BASELINES if (level := study.floors.level(panel, name))]
    shown = [value for value in values if value > 0]
    if shown:
        axes.set_ylim(min(shown + levels) / ROOM, max([fence(shown), *levels]) * ROOM)
    plain_log(axes, "y")


def name_row(row: Sequence[Axes], panel: Panel, what: str) -> None:
    """Title above the first axes of a row; the axis is named and numbered there alone."""
    row[0].set_title(f"{panel.title}: {what}" if what else panel.title, loc="left")
    row[0].set_ylabel(wrapped(metric_title(panel.primary)))
    for axes in row[1:]:
        axes.tick_params(labelleft=False)
