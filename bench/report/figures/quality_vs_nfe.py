"""Quality against evaluations: the figure ``quality_vs_nfe``."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.evidence.samplers import COMMON_SOLVER
from bench.evidence.statistics import Interval, interval
from bench.report.by_evaluations import compared_bank
from bench.report.declared import DeclaredFigure
from bench.report.drawing import (
    Drawn,
    all_labels,
    baseline_handles,
    baselines,
    beyond,
    draw_curve,
    frame,
    handles,
    legend,
    multiples,
    name_row,
    nothing,
    robust_axis,
    wrapped,
)
from bench.report.floors import TRAIN
from bench.report.study import CROWDED, Panel, Study
from bench.report.style import GREY, log_nfe, look_of, new_figure, plain_log
from bench.report.titles import metric_title
from bench.sampling.solvers.catalogue import SOLVERS


def _adaptive_points(study: Study, panel: Panel, label: str) -> list[tuple[float, Interval]]:
    """Mean measured NFE and quality of each tolerance of the adaptive solvers."""
    rows = study.rows(panel, label, panel.primary)
    rows = rows[
        rows["tolerance"].notna()
        & (rows["noise_bank"] == compared_bank(study, panel))
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
    figure, groups, grid = multiples(study, len(rows), 2.55, baseline_handles())
    for row, (panel, view) in zip(grid, rows, strict=True):
        ticks = sorted(x for xs, _ in view.curves.values() for x in xs)
        for axes, group in zip(row, groups, strict=True):
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
            robust_axis(axes, study, panel, view.values)
            shown = [label for label in group.labels if label in view.curves]
            for label in shown:
                x, points = view.curves[label]
                beyond(axes, x, [p.estimate for p in points], look_of(label).colour)
            if not shown:
                nothing(axes, "no such sampler")
        name_row(row, panel, view.title)
    for axes in grid[-1]:
        axes.set_xlabel("network evaluations (NFE)")
    return figure


FIGURE = DeclaredFigure(
    title="Quality against evaluations",
    caption=(
        "Primary metric against network evaluations (NFE) for each sample; lower is better. Three "
        "views, where they were swept: each formulation with the sampler that was selected on the "
        "other seeds and other noise; Euler for all, on the grid that each formulation names "
        "(consistency models and flow maps solve no equation, and are not in it); adaptive solvers "
        "at the evaluations they were measured to spend. Points are geometric means over training "
        "seeds, bands 95% Student t intervals on the log scale, cut at the frame. Solid grey line: "
        "real samples against the same held-out data, the floor, with the band that holds 95% of "
        "such draws. Dotted: a Gaussian fitted to the training "
        "data. Many formulations are drawn a kind a column, with all others in light grey; a value "
        "far above the rest is printed where its curve leaves the frame."
    ),
    section="quality",
    rank=10,
    draw=quality_vs_nfe,
)
