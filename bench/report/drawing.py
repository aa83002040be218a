"""What figures share: labels, legends, baselines and error bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from bench.report.study import Panel, Study
from bench.report.style import FLOOR, Look, look_of
from bench.statistics import Interval

Drawn = Figure | str
Array = NDArray[np.float64]

BASELINES: tuple[tuple[str, str, Literal["-", ":"]], ...] = (
    ("floor.train", "train vs held-out (floor)", "-"),
    ("floor.gaussian", "fitted Gaussian", ":"),
)


ROOM = 1.35
"""Factor that is left free beyond the lowest and the highest line."""


def all_labels(study: Study) -> list[str]:
    """Labels of all panels, in the order of the files."""
    return list(dict.fromkeys(label for panel in study.panels for label in study.labels(panel)))


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
    """One legend above all panels."""
    figure.legend(handles=entries, loc="outside upper center", ncols=columns, handlelength=3.2)


def baselines(axes: Axes, study: Study, panel: Panel) -> None:
    """Floor and fitted Gaussian as horizontal lines."""
    for label, _, style in BASELINES:
        level = study.floor(panel, label)
        if level is not None:
            axes.axhline(level.value, color=FLOOR, linewidth=1.1, linestyle=style, zorder=1)


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
