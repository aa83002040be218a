"""Figures of quality: against evaluations, and against measured time."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from bench.report.drawing import (
    BASELINES,
    Drawn,
    all_labels,
    baseline_handles,
    baselines,
    draw_curve,
    frame,
    handles,
    legend,
    wrapped,
)
from bench.report.study import COMMON_SOLVER, TRAIN, Panel, Study, metric_title
from bench.report.style import (
    FAINT,
    log_nfe,
    look_of,
    new_figure,
    plain_log,
)
from bench.solvers.catalogue import SOLVERS
from bench.statistics import CANDIDATE, Interval, interval


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


def quality_vs_nfe(study: Study) -> Drawn:
    """Primary metric against evaluations: selected sampler, common solver, adaptive solvers."""
    if study.selected.empty:
        return "No cell has a value."
    panels = study.panels
    figure = new_figure(11, 0.9 + 3.3 * len(panels))
    grid = figure.subplots(len(panels), 3, squeeze=False)
    titles = (
        "sampler selected on other seeds",
        f"one common solver: {SOLVERS[COMMON_SOLVER].title}",
        "adaptive, by measured NFE",
    )
    for row, panel in zip(grid, panels, strict=True):
        for axes, chosen, title in zip(row, (study.selected, study.common, None), titles,
                                       strict=True):  # fmt: skip
            baselines(axes, study, panel)
            axes.set_title(f"{panel.title}\n{title}", fontweight="normal")
            axes.set_xlabel("network evaluations (NFE)")
            for label in study.labels(panel):
                if chosen is None:
                    points = _adaptive_points(study, panel, label)
                    x, y = [p[0] for p in points], [p[1] for p in points]
                else:
                    curve = study.curve(panel, label, chosen)
                    x, y = list(map(float, curve)), list(curve.values())
                if x:
                    draw_curve(axes, look_of(label), x, y)
            if chosen is None:
                plain_log(axes, "x")
            elif nfe := study.nfe(panel):
                log_nfe(axes, nfe)
            frame(axes)
            plain_log(axes, "y")
            if len(axes.lines) <= len(BASELINES):
                axes.text(0.5, 0.5, "no value", transform=axes.transAxes, ha="center", color=FAINT)
        row[0].set_ylabel(wrapped(metric_title(panel.primary)))
    legend(figure, handles(study, all_labels(study)) + baseline_handles(), 4)
    return figure


SAME_SECONDS = 0.05


def pareto(study: Study, panel: Panel, label: str) -> tuple[pd.DataFrame, pd.DataFrame]:
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
    panels = study.panels
    figure = new_figure(max(5.4, 5.2 * len(panels)), 5.0)
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    drawn = False
    for axes, panel in zip(grid, panels, strict=True):
        axes.set_title(panel.title)
        baselines(axes, study, panel)
        fronts = {label: pareto(study, panel, label) for label in study.labels(panel)}
        seconds = [s for every, _ in fronts.values() for s in every["seconds"]]
        if not seconds:
            continue
        drawn = True
        unit, factor = ("ms", 1e3) if float(np.median(seconds)) > 1e-3 else ("µs", 1e6)
        for label, (every, front) in fronts.items():
            look = look_of(label)
            axes.scatter(
                factor * every["seconds"], every["value"], s=9, color=look.colour, alpha=0.35,
                marker=look.marker, linewidths=0, zorder=2,
            )  # fmt: skip
            axes.plot(factor * front["seconds"], front["value"], **look.line(), zorder=3)
        axes.set_xlabel(f"measured {unit} a sample")
        plain_log(axes, "x")
        plain_log(axes, "y")
        axes.set_ylabel(metric_title(panel.primary))
    if not drawn:
        return "No cell has a measured time."
    labels = all_labels(study)
    small = Line2D([], [], color=FAINT, marker="o", markersize=3, linestyle="none", alpha=0.6,
                   label="every solver and NFE")  # fmt: skip
    legend(figure, [*handles(study, labels), small, *baseline_handles()], 3)
    return figure
