"""Figures of quality: against evaluations, and against measured time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.evidence.statistics import CANDIDATE, Interval, interval
from bench.report.figures.drawing import (
    BASELINES,
    ROOM,
    Drawn,
    all_labels,
    baseline_handles,
    baselines,
    beyond,
    draw_curve,
    fence,
    frame,
    handles,
    legend,
    multiples,
    nothing,
    wrapped,
)
from bench.report.figures.style import FAINT, GREY, log_nfe, look_of, new_figure, plain_log
from bench.report.study import COMMON_SOLVER, CROWDED, TRAIN, Panel, Study
from bench.report.titles import metric_title
from bench.sampling.solvers.catalogue import SOLVERS


def _adaptive_points(study: Study, panel: Panel, label: str) -> list[tuple[float, Interval]]:
    """Mean measured NFE and quality of each tolerance of the adaptive solvers."""
    rows = study.rows(panel, label, panel.primary)
    rows = rows[
        rows["tolerance"].notna()
        & (rows["noise_bank"] == "scoring")
        & (rows["reference_set"] != TRAIN).fillna(True)
    ]
    return sorted(
        (
            (float(cell["nfe"].mean()), interval(cell["value"].astype(float), panel.primary))
            for _, cell in rows.groupby(["solver", "tolerance"])
        ),
        key=lambda point: point[0],
    )


Curves = dict[str, tuple[list[float], list[Interval]]]
"""Evaluations and quality of each label."""


@dataclass(frozen=True)
class View:
    """One way to choose a sampler: what it is called, and the curve of each label."""

    title: str
    curves: Curves
    exact: bool

    @property
    def values(self) -> list[float]:
        """Every estimate."""
        return [point.estimate for _, points in self.curves.values() for point in points]


def _views(study: Study, panel: Panel) -> list[View]:
    """Selected sampler, common solver, adaptive solvers: those that have a curve, or the first."""
    selected: Curves = {}
    common: Curves = {}
    adaptive: Curves = {}
    for label in study.labels(panel):
        for curves, chosen in ((selected, study.selected), (common, study.common)):
            if curve := study.curve(panel, label, chosen):
                curves[label] = list(map(float, curve)), list(curve.values())
        if points := _adaptive_points(study, panel, label):
            adaptive[label] = [x for x, _ in points], [y for _, y in points]
    views = [
        View("sampler selected on other seeds", selected, exact=True),
        View(f"one common solver: {SOLVERS[COMMON_SOLVER].title}", common, exact=True),
        View("adaptive, by measured NFE", adaptive, exact=False),
    ]
    return [view for view in views if view.curves] or views[:1]


def quality_vs_nfe(study: Study) -> Drawn:
    """Primary metric against evaluations: selected sampler, common solver, adaptive solvers."""
    if study.selected.empty:
        return "No cell has a value."
    views = {panel: _views(study, panel) for panel in study.panels}
    if len(all_labels(study)) > CROWDED:
        return _grouped_by_nfe(study, views)
    columns = max(map(len, views.values()))
    figure = new_figure(max(3.67 * columns, 7.4), 0.9 + 3.3 * len(views))
    grid = figure.subplots(len(views), columns, squeeze=False)
    for row, (panel, shown) in zip(grid, views.items(), strict=True):
        for axes in row[len(shown) :]:
            axes.set_visible(False)
        for axes, view in zip(row, shown, strict=False):
            baselines(axes, study, panel)
            axes.set_title(f"{panel.title}\n{view.title}", fontweight="normal")
            axes.set_xlabel("network evaluations (NFE)")
            for label, (x, points) in view.curves.items():
                draw_curve(axes, look_of(label), x, points)
            _nfe_axis(axes, study, panel, view)
            frame(axes)
            plain_log(axes, "y")
            if not view.curves:
                nothing(axes, "no value")
        row[0].set_ylabel(wrapped(metric_title(panel.primary)))
    legend(figure, handles(study, all_labels(study)) + baseline_handles(), 4)
    return figure


def _nfe_axis(axes: Axes, study: Study, panel: Panel, view: View) -> None:
    if not view.exact:
        plain_log(axes, "x")
    elif nfe := study.nfe(panel):
        log_nfe(axes, nfe)


def _grouped_by_nfe(study: Study, views: dict[Panel, list[View]]) -> Figure:
    """A row a data set and view, a column a kind of formulation, the other kinds in grey."""
    rows = [(panel, view) for panel, shown in views.items() for view in shown]
    figure, found, grid = multiples(study, len(rows), 2.55, baseline_handles())
    for row, (panel, view) in zip(grid, rows, strict=True):
        ticks = sorted(x for xs, _ in view.curves.values() for x in xs)
        for axes, group in zip(row, found, strict=True):
            baselines(axes, study, panel)
            for label, (x, points) in view.curves.items():
                if label in group.labels:
                    draw_curve(axes, look_of(label), x, points)
                else:
                    estimates = [point.estimate for point in points]
                    axes.plot(x, estimates, color=GREY, linewidth=1, zorder=1.5)
            if view.exact:
                _nfe_axis(axes, study, panel, view)
            else:
                axes.set_xlim(ticks[0] / 1.1, ticks[-1] * 1.1)
                plain_log(axes, "x")
            _robust(axes, study, panel, view.values)
            shown = [label for label in group.labels if label in view.curves]
            for label in shown:
                x, points = view.curves[label]
                beyond(axes, x, [p.estimate for p in points], look_of(label).colour)
            if not shown:
                nothing(axes, "no such sampler")
        _name_row(row, panel, view.title)
    for axes in grid[-1]:
        axes.set_xlabel("network evaluations (NFE)")
    return figure


def _robust(axes: Axes, study: Study, panel: Panel, values: Sequence[float]) -> None:
    """A logarithmic axis that is the same along a row, and leaves out values that are far out."""
    levels = [level.value for name, *_ in BASELINES if (level := study.floor(panel, name))]
    shown = [value for value in values if value > 0]
    if shown:
        axes.set_ylim(min(shown + levels) / ROOM, max([fence(shown), *levels]) * ROOM)
    plain_log(axes, "y")


def _name_row(row: Sequence[Axes], panel: Panel, what: str) -> None:
    """Title above the first axes of a row; the axis is named and numbered there alone."""
    row[0].set_title(f"{panel.title}: {what}" if what else panel.title, loc="left")
    row[0].set_ylabel(wrapped(metric_title(panel.primary)))
    for axes in row[1:]:
        axes.tick_params(labelleft=False)


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
    keys = [*CANDIDATE, "tolerance", "nfe_requested"]
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
    kept, fastest = [], math.inf
    for index, seconds in scored["seconds"].items():
        if seconds < fastest * (1 - SAME_SECONDS):
            kept.append(index)
            fastest = seconds
    return scored, scored.loc[kept].sort_values("seconds")


def quality_vs_wallclock(study: Study) -> Drawn:
    """Primary metric against seconds a sample, with each formulation's Pareto front."""
    fronts = {
        panel: {label: pareto(study, panel, label) for label in study.labels(panel)}
        for panel in study.panels
    }
    timed = {panel: found for panel, found in fronts.items() if any(map(_is_timed, found.values()))}
    if not timed:
        return "No cell has a measured time."
    small = Line2D([], [], color=FAINT, marker="o", markersize=3, linestyle="none", alpha=0.6,
                   label="every solver and NFE")  # fmt: skip
    if len(all_labels(study)) > CROWDED:
        return _grouped_by_time(study, timed, [small, *baseline_handles()])
    figure = new_figure(max(5.4, 5.2 * len(timed)), 5.0)
    grid = figure.subplots(1, len(timed), squeeze=False)[0]
    for axes, (panel, found) in zip(grid, timed.items(), strict=True):
        axes.set_title(panel.title)
        baselines(axes, study, panel)
        unit, factor = _unit(found)
        for label in found:
            _draw_front(axes, found, label, factor)
        axes.set_xlabel(f"measured {unit} a sample")
        plain_log(axes, "x")
        plain_log(axes, "y")
        axes.set_ylabel(metric_title(panel.primary))
    legend(figure, [*handles(study, all_labels(study)), small, *baseline_handles()], 3)
    return figure


def _is_timed(front: Front) -> bool:
    return len(front[0]) > 0


def _unit(found: Mapping[str, Front]) -> tuple[str, float]:
    """Milliseconds or microseconds, and how many of them a second has."""
    seconds = [s for every, _ in found.values() for s in every["seconds"]]
    return ("ms", 1e3) if float(np.median(seconds)) > 1e-3 else ("µs", 1e6)


def _draw_front(axes: Axes, found: Mapping[str, Front], label: str, factor: float) -> None:
    every, front = found[label]
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
    for row, (panel, found) in zip(grid, timed.items(), strict=True):
        unit, factor = _unit(found)
        seconds = [factor * s for every, _ in found.values() for s in every["seconds"]]
        values = [v for _, front in found.values() for v in front["value"]]
        for axes, group in zip(row, groups, strict=True):
            baselines(axes, study, panel)
            axes.set_xlim(min(seconds) / 1.2, max(seconds) * 1.2)
            plain_log(axes, "x")
            axes.set_xlabel(f"measured {unit} a sample")
            for label, (_, front) in found.items():
                if label in group.labels:
                    _draw_front(axes, found, label, factor)
                else:
                    axes.plot(factor * front["seconds"], front["value"], color=GREY, linewidth=1,
                              zorder=1.5)  # fmt: skip
            _robust(axes, study, panel, values)
            for label in set(group.labels) & set(found):
                front = found[label][1]
                places = (factor * front["seconds"]).tolist()
                beyond(axes, places, front["value"].tolist(), look_of(label).colour)
        _name_row(row, panel, "")
    return figure
