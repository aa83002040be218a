"""Samples of one seed, side by side: the figure ``samples``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from safetensors.numpy import load_file

from bench.evidence.samplers import COMMON_SOLVER
from bench.report.arrays import first_file
from bench.report.declared import DeclaredFigure
from bench.report.drawing import Array, Drawn, all_labels, wrapped
from bench.report.study import CROWDED, Panel, Study
from bench.report.style import FAINT, FLOOR, INK, look_of, new_figure
from bench.sampling.solvers.catalogue import SOLVERS


def _sample_at(
    study: Study, panel: Panel, label: str, arrays: Mapping[str, Any], nfe: int
) -> tuple[str, Any] | None:
    """Samples at an NFE: the most often selected solver's, else the common one's, else any."""
    at = {
        key.split("|")[0]: array for key, array in arrays.items() if key.split("|")[1] == str(nfe)
    }
    asked = {
        solver: f"{solver}|{tolerance}" for solver, _, tolerance in study.chosen(panel, label, nfe)
    }
    at |= {solver: arrays[key] for solver, key in asked.items() if key in arrays}
    order = [*asked, COMMON_SOLVER, *sorted(at)]
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
    shown_panels = []
    for panel in study.panels:
        arrays = {label: first_file(study, panel, label, "samples.safetensors")
                  for label in study.labels(panel)}  # fmt: skip
        if any(arrays.values()):
            shown_panels.append((panel, arrays))
    if not shown_panels:
        return "No samples were kept with these records."
    if len(all_labels(study)) > CROWDED:  # side by side, in smaller pictures
        rows = 1 + max(len(arrays) for _, arrays in shown_panels)
        figure = new_figure(6.3 * len(shown_panels), 0.5 + 1.14 * rows)
        parts = figure.subfigures(1, len(shown_panels), squeeze=False)[0]
    else:
        heights = [0.75 + 1.35 * (1 + len(arrays)) for _, arrays in shown_panels]
        figure = new_figure(9.4, sum(heights))
        parts = figure.subfigures(len(shown_panels), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, (panel, arrays) in zip(parts, shown_panels, strict=True):
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
    for row, (label, label_arrays) in zip(grid[1:], arrays.items(), strict=True):
        for axes, nfe in zip(row, columns, strict=True):
            shown = _sample_at(study, panel, label, label_arrays, nfe)
            if shown is None:
                what = "not swept" if label_arrays else "missing"
                axes.text(0.5, 0.5, what, transform=axes.transAxes, ha="center", va="center",
                          color=FAINT, fontsize=8)  # fmt: skip
                continue
            solver, points = shown
            _draw_cloud(axes, panel, points, look_of(label).colour)
            axes.set_title(f"NFE {nfe}, {SOLVERS[solver].title}", fontweight="normal", pad=2,
                           fontsize=7 if len(arrays) <= CROWDED else 5.5)  # fmt: skip


def _draw_cloud(axes: Axes, panel: Panel, points: Any, colour: str) -> None:
    """Images as a mosaic, points as a cloud: of many dimensions in the first two."""
    if panel.kind == "image":
        # Without interpolation a drawing holds the samples' own pixels, and they stay sharp.
        axes.imshow(_mosaic(points), cmap="gray", vmin=0, vmax=1, interpolation="none")
        return
    x, y = np.asarray(points, dtype=float).T[:2]
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


FIGURE = DeclaredFigure(
    title="Samples",
    caption=(
        "Samples of the first training seed; a row a formulation, a column an NFE, with the "
        "solver that was selected there, on the first grid that was swept. Every cell starts from "
        "the same noise, so samples at one place can be compared along rows and columns. Nothing "
        "is hand-picked."
    ),
    section="samples",
    rank=10,
    draw=samples,
    from_arrays=True,
)
