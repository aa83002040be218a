"""Figure of the split of the error: of the field, of the solver, and of both."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from bench.cells import EXACT
from bench.report.drawing import Drawn, draw_curve, frame, handles, legend
from bench.report.path_tables import (
    DISCRETISATION,
    FIELD,
    FIELD_ERRORS,
    SECOND_SOLVER,
    TOTAL,
    by_nfe,
    compared,
    exact_rows,
    grid_of,
    over_log_snr,
    scored,
    split_panels,
)
from bench.report.study import COMMON_SOLVER, Panel, Study
from bench.report.style import (
    DASHED,
    DOTTED,
    FAINT,
    INK,
    SOLID,
    SPARE_COLOURS,
    Look,
    log_nfe,
    look_of,
    new_figure,
    plain_log,
)
from bench.solvers.catalogue import SOLVERS

MARKERS = ("o", "s", "^", "D", "v")
SOLVER_DASHES = {COMMON_SOLVER: SOLID, SECOND_SOLVER: DASHED}


def error_split(study: Study) -> Drawn:
    """Field error over log_snr; solver error of the exact field; the model's total."""
    panels = split_panels(study)
    if not panels:
        return "No data set of this experiment has an exact law that a model could be held to."
    figure = new_figure(11, 0.9 + 3.3 * len(panels))
    grid = figure.subplots(len(panels), 3, squeeze=False)
    for (over_time, of_solver, of_both), panel in zip(grid, panels, strict=True):
        _draw_field(over_time, study, panel)
        _draw_exact(of_solver, study, panel)
        _draw_total(of_both, study, panel)
    labels = list(dict.fromkeys(label for panel in panels for label in compared(study, panel)))
    kinds = [
        Line2D([], [], color=INK, label="total, at this NFE"),
        Line2D([], [], color=INK, dashes=DOTTED, label="solver, of the model's own field"),
        Line2D([], [], color=INK, dashes=DASHED, linewidth=1, label="field, at any NFE"),
    ]
    legend(figure, [*handles(study, labels), *kinds], 3)
    return figure


def _draw_field(axes: Axes, study: Study, panel: Panel) -> None:
    axes.set_title(f"{panel.title}\nfield error of the data estimate", fontweight="normal")
    axes.set_xlabel("log_snr (noise to data)")
    axes.set_ylabel("mean square error a coordinate")
    for label in compared(study, panel):
        points = over_log_snr(study, panel, label, FIELD_ERRORS[0])
        if points:
            draw_curve(axes, look_of(label), list(points), list(points.values()))
    _finish(axes)


def _draw_exact(axes: Axes, study: Study, panel: Panel) -> None:
    axes.set_title(f"{panel.title}\nexact field: error of the solver", fontweight="normal")
    axes.set_xlabel("evaluations (NFE)")
    axes.set_ylabel("endpoint RMSE to a fine solve")
    rows = exact_rows(study, panel)
    found = sorted(set(zip(rows["label"], rows["solver"], rows["grid"], strict=True)))
    # The common solver first: another one, with a grid of its own, looks like its path's first.
    lines = [line for name in SOLVER_DASHES for line in found if line[1] == name]
    kinds: list[tuple[str, str]] = []
    for label, solver, grid in lines:
        points = by_nfe(rows, label, solver, grid, DISCRETISATION)
        known = [place for place, kind in enumerate(kinds) if kind[0] == label]
        if solver == COMMON_SOLVER or not known:
            kinds.append((label, grid))
            known = [len(kinds) - 1]
        place = known[0]
        colour = SPARE_COLOURS[place % len(SPARE_COLOURS)]
        marker = MARKERS[place % len(MARKERS)]
        draw_curve(
            axes,
            Look(colour, marker, SOLVER_DASHES[solver]),
            list(points),
            list(points.values()),
        )
        several = sum(line[:2] == (label, solver) for line in lines) > 1
        name = f"{label.removeprefix(f'{EXACT}.')}, {SOLVERS[solver].title}"
        axes.lines[-1].set_label(f"{name}, {grid}" if several else name)
    _finish(axes, sorted(set(rows["nfe_requested"].dropna().astype(int))))
    if axes.lines:
        axes.legend(fontsize=7, handlelength=5, loc="lower left")


def _draw_total(axes: Axes, study: Study, panel: Panel) -> None:
    title = f"models with {SOLVERS[COMMON_SOLVER].title}: field and solver"
    axes.set_title(f"{panel.title}\n{title}", fontweight="normal")
    axes.set_xlabel("network evaluations (NFE)")
    axes.set_ylabel("endpoint RMSE")
    rows, nfe = scored(study, panel), set[int]()
    for label in compared(study, panel):
        look, grid = look_of(label), grid_of(study, panel, label, COMMON_SOLVER)
        own, total = (
            by_nfe(rows, label, COMMON_SOLVER, grid, metric) for metric in (DISCRETISATION, TOTAL)
        )
        if not total:
            continue
        field = study.model_metric(panel, label, FIELD).estimate
        axes.axhline(field, color=look.colour, dashes=DASHED, linewidth=1, zorder=1)
        solver = [point.estimate for point in own.values()]
        axes.plot(list(own), solver, color=look.colour, dashes=DOTTED)
        draw_curve(axes, look, list(total), list(total.values()))
        nfe |= set(total)
    _finish(axes, sorted(nfe))


def _finish(axes: Axes, nfe: list[int] | None = None) -> None:
    """Logarithmic axes around what was drawn, or a word where nothing was."""
    if not axes.lines:
        axes.text(0.5, 0.5, "no value", transform=axes.transAxes, ha="center", color=FAINT)
        return
    if nfe:
        log_nfe(axes, nfe)
    frame(axes)
    plain_log(axes, "y")
