"""Figure of the split of the error: of the field, of the solver, and of both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from bench.evidence.samplers import COMMON_SOLVER
from bench.experiment.cells import EXACT, exact_label
from bench.report.declared import DeclaredFigure
from bench.report.drawing import Drawn, draw_curve, frame, handles, legend, nothing
from bench.report.exact_field import (
    DISCRETISATION,
    FIELD,
    FIELD_ERRORS,
    SECOND_SOLVER,
    TOTAL,
    Cells,
    compared,
    exact_rows,
    over_log_snr,
    scored,
    split_panels,
)
from bench.report.study import Panel, Study
from bench.report.style import (
    DASHED,
    DOTTED,
    INK,
    SOLID,
    SPARE_COLOURS,
    Look,
    log_nfe,
    look_of,
    new_figure,
    plain_log,
)
from bench.sampling.solvers.catalogue import SOLVERS

MARKERS = ("o", "s", "^", "D", "v")
SOLVER_DASHES = {COMMON_SOLVER: SOLID, SECOND_SOLVER: DASHED}


Kind = tuple[str, str]
"""Label of the exact field on a path, and the grid of the common solver there."""


def error_split(study: Study) -> Drawn:
    """Field error over log_snr; solver error of the exact field; the model's total."""
    panels = split_panels(study)
    if not panels:
        return "No data set of this experiment has an exact law that a model could be held to."
    looks = _exact_looks(study, panels)
    figure = new_figure(11, 1.5 + 3.3 * len(panels))
    grid = figure.subplots(len(panels), 3, squeeze=False)
    for (over_time, of_solver, of_both), panel in zip(grid, panels, strict=True):
        _draw_field(over_time, study, panel)
        _draw_exact(of_solver, study, panel, looks)
        _draw_total(of_both, study, panel)
    labels = list(dict.fromkeys(label for panel in panels for label in compared(study, panel)))
    kinds = [
        Line2D([], [], color=INK, label="total, at this NFE"),
        Line2D([], [], color=INK, dashes=DOTTED, label="solver, of the model's own field"),
        Line2D([], [], color=INK, dashes=DASHED, linewidth=1, label="field, at any NFE"),
    ]
    legend(figure, [*handles(study, labels), *kinds], 3)
    entries = _exact_entries(looks)
    figure.legend(
        handles=entries, title="exact field, in the middle", loc="outside lower center",
        ncols=min(4, len(entries)), handlelength=3.2,
    )  # fmt: skip
    return figure


def _exact_looks(study: Study, panels: Sequence[Panel]) -> dict[Kind, Look]:
    """A colour and a marker for each path and grid that a formulation names, in their order."""
    kinds: dict[Kind, None] = {}
    for panel in panels:
        exact_labels = set(exact_rows(study, panel)["label"])
        for label in filter(partial(study.has_flow, panel), study.labels(panel)):
            exact = exact_label(study.experiment(panel).formulation(label).final.path)
            if exact in exact_labels:
                kinds[exact, study.own_grid(panel, label, COMMON_SOLVER)] = None
    return {
        kind: Look(SPARE_COLOURS[i % len(SPARE_COLOURS)], MARKERS[i % len(MARKERS)], SOLID)
        for i, kind in enumerate(kinds)
    }


def _exact_entries(looks: Mapping[Kind, Look]) -> list[Line2D]:
    """Legend entries: a path each, with its grid where there are two, and the solvers' dashes."""
    grids = Counter(label for label, _ in looks)
    paths = [
        Line2D([], [], label=label.removeprefix(f"{EXACT}.")
               + (f", {grid}" if grids[label] > 1 else ""), **look.line())
        for (label, grid), look in looks.items()
    ]  # fmt: skip
    return paths + [
        Line2D([], [], color=INK, dashes=dashes, label=SOLVERS[solver].title)
        for solver, dashes in SOLVER_DASHES.items()
    ]


def _draw_field(axes: Axes, study: Study, panel: Panel) -> None:
    axes.set_title(f"{panel.title}\nfield error of the data estimate", fontweight="normal")
    axes.set_xlabel("log_snr (noise to data)")
    axes.set_ylabel("mean square error a coordinate")
    for label in compared(study, panel):
        points = over_log_snr(study, panel, label, FIELD_ERRORS[0])
        if points:
            draw_curve(axes, look_of(label), list(points), list(points.values()))
    _finish(axes)


def _draw_exact(axes: Axes, study: Study, panel: Panel, looks: Mapping[Kind, Look]) -> None:
    axes.set_title(f"{panel.title}\nexact field: error of the solver", fontweight="normal")
    axes.set_xlabel("evaluations (NFE)")
    axes.set_ylabel("endpoint RMSE to a fine solve")
    rows = exact_rows(study, panel)
    cells = Cells(rows)
    # A solver with a grid of its own is drawn once a path, and looks like its path's first.
    first = {label: look for (label, _), look in reversed(list(looks.items()))}
    lines = {(label, COMMON_SOLVER, grid): look for (label, grid), look in looks.items()}
    lines |= {
        (label, SECOND_SOLVER, SOLVERS[SECOND_SOLVER].grid): look for label, look in first.items()
    }
    for (label, solver, grid), look in lines.items():
        points = cells.by_nfe(label, solver, grid, DISCRETISATION)
        if points:
            dashed = replace(look, dash=SOLVER_DASHES[solver])
            draw_curve(axes, dashed, list(points), list(points.values()))
    _finish(axes, sorted(set(rows["nfe_requested"].dropna().astype(int))))


def _draw_total(axes: Axes, study: Study, panel: Panel) -> None:
    title = f"models with {SOLVERS[COMMON_SOLVER].title}: field and solver"
    axes.set_title(f"{panel.title}\n{title}", fontweight="normal")
    axes.set_xlabel("network evaluations (NFE)")
    axes.set_ylabel("endpoint RMSE")
    cells, nfe = Cells(scored(study, panel)), set[int]()
    for label in compared(study, panel):
        look, grid = look_of(label), study.own_grid(panel, label, COMMON_SOLVER)
        discretisation, total = (
            cells.by_nfe(label, COMMON_SOLVER, grid, metric) for metric in (DISCRETISATION, TOTAL)
        )
        if not total:
            continue
        field = study.model_metric(panel, label, FIELD).estimate
        axes.axhline(field, color=look.colour, dashes=DASHED, linewidth=1, zorder=1)
        solver = [point.estimate for point in discretisation.values()]
        axes.plot(list(discretisation), solver, color=look.colour, dashes=DOTTED)
        draw_curve(axes, look, list(total), list(total.values()))
        nfe |= set(total)
    _finish(axes, sorted(nfe))


def _finish(axes: Axes, nfe: list[int] | None = None) -> None:
    """Logarithmic axes around what was drawn, or a word where nothing was."""
    if not axes.lines:
        nothing(axes, "no value")
        return
    if nfe:
        log_nfe(axes, nfe)
    frame(axes)
    plain_log(axes, "y")


FIGURE = DeclaredFigure(
    title="Error of the field and of the solver",
    caption=(
        "Data sets whose law is known, so that the exact field is. Left: how far the models' "
        "estimate of the data is from the exact one, at points that the exact flow visits; this "
        "error is the same whatever path the model is sampled on. Middle: what solvers make of "
        "the exact field, on each path: the error that a perfect model has left. Right: models "
        "with the common solver, their end points against those of the exact flow from the same "
        "noise; for each seed the total is at most field plus solver. Lines are geometric means, "
        "bands 95% Student t intervals over training seeds. Models of a minibatch OT coupling, of "
        "stored pairs or under guidance follow another field and are not shown."
    ),
    section="paths",
    rank=10,
    draw=error_split,
)
