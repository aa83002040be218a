"""Figures of what the models do: straightness, samples, trajectories."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.lines import Line2D
from safetensors.numpy import load_file

from bench.report.figures.drawing import Array, Drawn, all_labels, errors, legend, wrapped
from bench.report.figures.style import FAINT, FLOOR, INK, look_of, new_figure
from bench.report.study import COMMON_SOLVER, CROWDED, Panel, Study
from bench.report.titles import STRAIGHTNESS, metric_title
from bench.sampling.solvers.catalogue import SOLVERS


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
                found = study.model_metric(panel, label, metric)
                if not found.n:
                    axes.text(0.98, place, "missing", transform=axes.get_yaxis_transform(),
                              ha="right", va="center", color=FAINT, fontsize=8)  # fmt: skip
                    continue
                axes.scatter(values, np.full(len(values), place + 0.22), s=7, color=look.colour,
                             alpha=0.55, linewidths=0)  # fmt: skip
                axes.errorbar([found.estimate], [place], xerr=errors([found]), color=look.colour,
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


# --- samples and trajectories --------------------------------------------------------------------


def _first_file(study: Study, panel: Panel, label: str, name: str) -> dict[str, Any]:
    """Arrays of the first seed that has the file, or nothing."""
    layout = study.layout(panel)
    if layout is None:
        return {}
    for seed in study.experiment(panel).seeds:
        path = layout.sweep(panel.dataset, label, seed) / name
        if path.is_file():
            return dict(load_file(path))
    return {}


def _sample_at(
    study: Study, panel: Panel, label: str, arrays: Mapping[str, Any], nfe: int
) -> tuple[str, Any] | None:
    """Samples at an NFE: the most often selected solver's, else the common one's, else any."""
    at = {
        key.split("|")[0]: array for key, array in arrays.items() if key.split("|")[1] == str(nfe)
    }
    chosen = [solver for solver, _ in study.chosen(panel, label, nfe)]
    order = [*chosen, COMMON_SOLVER, *sorted(at)]
    solver = next((name for name in order if name in at), None)
    return None if solver is None else (solver, at[solver])


def _mosaic(images: Any, rows: int = 3, columns: int = 4) -> Array:
    """Images ``[n, (1,) h, w]`` or ``[n, 3, h, w]``, uint8 or in [-1, 1], as one picture."""
    x = np.asarray(images)[: rows * columns]
    x = x / 255.0 if x.dtype == np.uint8 else (x.astype(float) + 1) / 2
    x = x.mean(axis=1) if x.ndim == 4 and x.shape[1] == 1 else x
    x = np.moveaxis(x, 1, -1) if x.ndim == 4 else x
    height, width = x.shape[1:3]
    canvas = np.ones((rows * (height + 1) - 1, columns * (width + 1) - 1, *x.shape[3:]))
    for i, image in enumerate(x):
        r, c = divmod(i, columns)
        canvas[r * (height + 1) :, c * (width + 1) :][:height, :width] = image.clip(0, 1)
    return canvas


SAMPLE_COLUMNS = (1, 2, 4, 16, 64)


def samples(study: Study) -> Drawn:
    """Samples of one seed: a row a formulation, a column an NFE, the same noise throughout."""
    found = []
    for panel in study.panels:
        arrays = {label: _first_file(study, panel, label, "samples.safetensors")
                  for label in study.labels(panel)}  # fmt: skip
        if any(arrays.values()):
            found.append((panel, arrays))
    if not found:
        return "No samples were kept with these records."
    if len(all_labels(study)) > CROWDED:  # side by side, in smaller pictures
        rows = 1 + max(len(arrays) for _, arrays in found)
        figure = new_figure(6.3 * len(found), 0.5 + 1.14 * rows)
        parts = figure.subfigures(1, len(found), squeeze=False)[0]
    else:
        heights = [0.75 + 1.35 * (1 + len(arrays)) for _, arrays in found]
        figure = new_figure(9.4, sum(heights))
        parts = figure.subfigures(len(found), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, (panel, arrays) in zip(parts, found, strict=True):
        _draw_samples(part, study, panel, arrays)
    return figure


def _draw_samples(
    part: SubFigure, study: Study, panel: Panel, arrays: Mapping[str, Mapping[str, Any]]
) -> None:
    costs = {key.split("|")[1] for a in arrays.values() for key in a}
    swept = {int(cost) for cost in costs if cost.isdigit()}  # the others are tolerances
    columns = [n for n in SAMPLE_COLUMNS if n in swept] or sorted(swept)[:5]
    part.suptitle(f"{panel.title}: samples from the same noise", fontweight="bold", fontsize=10)
    grid = part.subplots(1 + len(arrays), len(columns), squeeze=False)
    for axes in grid.ravel():
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_aspect("equal")
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
    names = ["training data", *(study.titles[label] for label in arrays)]
    for axes, name in zip(grid[:, 0], names, strict=True):
        axes.set_ylabel(wrapped(name, 12), rotation=0, ha="right", va="center", color=INK)
    for axes, real in zip(grid[0], _real_samples(study, panel, len(columns)), strict=False):
        _draw_cloud(axes, panel, real, FLOOR)
    for row, (label, mine) in zip(grid[1:], arrays.items(), strict=True):
        for axes, nfe in zip(row, columns, strict=True):
            shown = _sample_at(study, panel, label, mine, nfe)
            if shown is None:
                what = "not swept" if mine else "missing"
                axes.text(0.5, 0.5, what, transform=axes.transAxes, ha="center", va="center",
                          color=FAINT, fontsize=8)  # fmt: skip
                continue
            solver, points = shown
            _draw_cloud(axes, panel, points, look_of(label).colour)
            axes.set_title(f"NFE {nfe}, {SOLVERS[solver].title}", fontweight="normal", pad=2,
                           fontsize=7 if len(arrays) <= CROWDED else 5.5)  # fmt: skip


def _draw_cloud(axes: Axes, panel: Panel, points: Any, colour: str) -> None:
    """Images as a mosaic, points of the plane as a cloud."""
    if panel.kind == "image":
        # Without interpolation a drawing holds the samples' own pixels, and they stay sharp.
        axes.imshow(_mosaic(points), cmap="gray", vmin=0, vmax=1, interpolation="none")
        return
    x, y = np.asarray(points, dtype=float).T
    axes.scatter(x, y, s=1.2, color=colour, linewidths=0, rasterized=True)
    axes.set_xlim(-1.7, 1.7)
    axes.set_ylim(-1.7, 1.7)


def _real_samples(study: Study, panel: Panel, count: int) -> list[Any]:
    """``count`` disjoint handfuls of training data, or nothing where the data are not at hand."""
    layout = study.layout(panel)
    path = None if layout is None else layout.data(panel.dataset) / "data.safetensors"
    if path is None or not path.is_file():
        return []
    train = load_file(path)["train"]
    size = 12 if panel.kind == "image" else 500
    return [train[i * size : (i + 1) * size] for i in range(count)]


def trajectories(study: Study) -> Drawn:
    """Trajectories of a fine solve in the plane, a panel a formulation."""
    found = [
        (panel, label, arrays)
        for panel in study.panels
        if panel.kind == "vector"
        for label in study.labels(panel)
        if (arrays := _first_file(study, panel, label, "trajectories.safetensors"))
    ]
    if not found:
        return "No trajectories were kept with these records."
    columns = min(len(found), 4)
    rows = math.ceil(len(found) / columns)
    figure = new_figure(2.75 * columns, 0.5 + 2.9 * rows)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[len(found) :]:
        axes.set_visible(False)
    for axes, (panel, label, arrays) in zip(grid, found, strict=False):
        paths = np.asarray(arrays["trajectories"], dtype=float)[:, :64]
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
