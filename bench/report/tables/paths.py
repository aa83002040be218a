"""Tables of what is due to path, field and solver: the unified view, the split of the error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from bench.evidence.audit import CONVERGENCE
from bench.evidence.statistics import Interval, interval
from bench.experiment.cells import EXACT, UNIFIED, exact_label
from bench.report.numbers import MISSING, bracket, plain, seeds
from bench.report.study import COMMON_SOLVER, TRAIN, Panel, Study
from bench.report.tables.table import BLOCK, INTERVAL_NOTE, Table, absent, columns_of
from bench.report.titles import metric_title

Curve = dict[int, Interval]
"""A metric at each NFE."""

EXACT_TITLE = "exact field"
DISCRETISATION, TOTAL, FIELD = "endpoint_rmse", "total_rmse", "field_rmse"
FIELD_ERRORS = ("field_error.data", "field_error.velocity")
SECOND_SOLVER = "dpmpp_2m"
"""Shown beside the common solver where it was swept; the CSV holds all."""


def scored(study: Study, panel: Panel) -> pd.DataFrame:
    """Successful rows of the scoring noise, without comparisons to the training set."""
    rows = study.measured(panel)
    keep = (
        (rows["status"] == "ok")
        & (rows["noise_bank"] == "scoring")
        & (rows["reference_set"] != TRAIN).fillna(True)
    )
    return rows[keep.fillna(False)].dropna(subset="value")


def over_seeds(rows: pd.DataFrame, metric: str) -> Interval:
    """A metric of some rows, one a seed, over seeds."""
    return interval(rows[rows["metric"] == metric]["value"].astype(float), metric)


# --- the unified view ----------------------------------------------------------------------------


def _view_rows(study: Study, panel: Panel) -> pd.DataFrame:
    rows = scored(study, panel)
    return rows[(rows["grid"] == UNIFIED).fillna(False)]


def _view_titles(study: Study, panel: Panel) -> dict[str, tuple[str, str]]:
    """Title and trained path of every row, the exact field last."""
    experiment = study.experiment(panel)
    found = {
        label: (study.titles[label], experiment.formulation(label).final.path.name)
        for label in study.labels(panel)
        if study.has_flow(panel, label)
    }
    return found | {EXACT: (EXACT_TITLE, "")}


def unified_view(study: Study) -> Table:
    """Every model of one path sampled on all of them, at the same points of log_snr."""
    data: list[dict[str, Any]] = []
    text: list[dict[str, str]] = []
    ranges: dict[str, None] = {}
    for panel in study.panels:
        rows = _view_rows(study, panel)
        ranges |= dict.fromkeys(rows["interval"].dropna())
        paths = list(dict.fromkeys(rows["sampled_path"]))
        for (nfe, solver), cells in rows.groupby(["nfe_requested", "solver"], sort=True):
            for label, (title, trained) in _view_titles(study, panel).items():
                mine = cells[cells["label"] == label]
                if mine.empty and (label == EXACT or not len(study.failures(panel, label))):
                    continue
                line = {
                    BLOCK: panel.title,
                    "formulation": title,
                    "trained on": trained or MISSING,
                    "solver": str(solver),
                    "NFE": str(nfe),
                }
                expected = 1 if label == EXACT else study.expected(panel)
                for path in paths:
                    there = mine[mine["sampled_path"] == path]
                    quality = over_seeds(there, panel.primary)
                    if not quality.n:
                        # No solver could spend it, a failure, or a path of another label alone.
                        line[path] = MISSING if label == EXACT else absent(study, panel, label)
                        continue
                    rmse = over_seeds(there, DISCRETISATION)
                    mean, *bounds = bracket(quality).split(" ", 1)
                    shown = [mean + seeds(quality.n, expected), *bounds]
                    line[path] = "\n".join([*shown, f"RMSE {plain(rmse.estimate)}"])
                    place = {
                        "experiment": panel.experiment,
                        "dataset": panel.dataset,
                        "label": label,
                        "trained_path": trained,
                        "sampled_path": path,
                        "solver": solver,
                        "nfe": nfe,
                    }
                    for metric, found in ((panel.primary, quality), (DISCRETISATION, rmse)):
                        data.append(place | {"metric": metric} | columns_of(found, expected))
                text.append(line)
    frame = pd.DataFrame(data)
    caption = (
        "A model of one Gaussian path is a model of every other one after a change of time and "
        "scale, whatever its coupling (arXiv:2303.00848). Rows: the path a model was trained on. "
        "Columns: the path it is sampled on, with the same solver, the same start, the same points "
        f"of log_snr, equal steps over {_listed(ranges)}; end points are scored in the scale of "
        "the data, with no denoising after the last step. The exact solution is the same in all "
        "columns, so a row shows what the solver makes of the path. Euler on the linear and on the "
        "EDM path is DDIM, and so the same; on the curved paths it is another method. First the "
        "primary metric, then RMSE: of the end points to a fine solve of the same model over the "
        f"same range. {_own_path(frame)}{INTERVAL_NOTE}"
    )
    return Table(
        "unified_view",
        "Trained on one path, sampled on another",
        caption,
        frame,
        pd.DataFrame(text).fillna(MISSING),
    )


def _listed(ranges: dict[str, None]) -> str:
    return " or ".join(ranges) if ranges else "the range that all paths share"


def _own_path(data: pd.DataFrame) -> str:
    """In how many rows the trained path is the best one to sample on, by the endpoint RMSE."""
    if data.empty:
        return ""
    models = data[(data["metric"] == DISCRETISATION) & (data["label"] != EXACT)]
    best = [
        rows.loc[rows["estimate"] <= 1.001 * rows["estimate"].min(), "sampled_path"].tolist()
        for _, rows in models.groupby(["experiment", "dataset", "label", "solver", "nfe"])
    ]
    trained = [
        str(rows["trained_path"].iloc[0])
        for _, rows in models.groupby(["experiment", "dataset", "label", "solver", "nfe"])
    ]
    own = sum(name in found for name, found in zip(trained, best, strict=True))
    return (
        f"In {own} of {len(best)} rows no sampled path has a lower RMSE than the trained one. "
        if best
        else ""
    )


# --- the split of the error ----------------------------------------------------------------------


def split_panels(study: Study) -> list[Panel]:
    """Data sets on which the exact field was sampled."""
    return [panel for panel in study.panels if len(exact_rows(study, panel))]


def exact_rows(study: Study, panel: Panel) -> pd.DataFrame:
    """Rows of the exact field on its paths, at an exact NFE, outside of the unified view."""
    rows = scored(study, panel)
    exact = (
        rows["label"].str.startswith(f"{EXACT}.")
        & rows["tolerance"].isna()
        & (rows["metric"] != CONVERGENCE)
    )
    return rows[exact.fillna(False)]


def compared(study: Study, panel: Panel) -> list[str]:
    """Labels whose models should have learnt the exact field, and have been compared with it."""
    return [label for label in study.labels(panel) if len(study.rows(panel, label, FIELD))]


def by_nfe(rows: pd.DataFrame, label: str, solver: str, grid: str, metric: str) -> Curve:
    """A metric of :func:`scored` rows over seeds, at each NFE."""
    mine = rows[
        (
            (rows["label"] == label)
            & (rows["solver"] == solver)
            & (rows["grid"] == grid)
            & (rows["metric"] == metric)
        ).fillna(False)
    ]
    swept = sorted(set(mine["nfe_requested"].dropna().astype(int)))
    return {nfe: over_seeds(mine[mine["nfe_requested"] == nfe], metric) for nfe in swept}


def over_log_snr(study: Study, panel: Panel, label: str, metric: str) -> dict[float, Interval]:
    """One of :data:`FIELD_ERRORS` over seeds, at each point of log_snr."""
    rows = study.rows(panel, label, metric)
    points = sorted(set(rows["log_snr"].dropna().astype(float)))
    return {point: over_seeds(rows[rows["log_snr"] == point], metric) for point in points}


def _split_facts(study: Study, panel: Panel) -> Iterator[tuple[dict[str, Any], Interval, int]]:
    """Where and what, its interval, and how many seeds were asked for: the whole split."""
    labels, expected = compared(study, panel), study.expected(panel)
    for label in labels:
        yield {"label": label, "metric": FIELD}, study.model_metric(panel, label, FIELD), expected
        for metric in FIELD_ERRORS:
            for point, found in over_log_snr(study, panel, label, metric).items():
                yield {"label": label, "metric": metric, "log_snr": point}, found, expected
    rows = scored(study, panel)
    rows = rows[(rows["grid"] != UNIFIED) & rows["tolerance"].isna()]
    exact = list(dict.fromkeys(exact_rows(study, panel)["label"]))
    for label, solver, grid in sorted(
        set(zip(rows["label"], rows["solver"].fillna(""), rows["grid"].fillna(""), strict=True))
    ):
        if label not in (*labels, *exact):
            continue
        for metric in (DISCRETISATION, TOTAL, panel.primary):
            for nfe, found in by_nfe(rows, label, solver, grid, metric).items():
                where: dict[str, Any] = {"label": label, "solver": solver, "grid": grid, "nfe": nfe}
                yield where | {"metric": metric}, found, 1 if label in exact else expected


def error_split(study: Study) -> Table:
    """Error of the field, of the solver, and of both, where the law of the data is known."""
    data: list[dict[str, Any]] = []
    text: list[dict[str, str]] = []
    for panel in split_panels(study):
        place = {"experiment": panel.experiment, "dataset": panel.dataset}
        data += [
            place | where | columns_of(found, expected)
            for where, found, expected in _split_facts(study, panel)
        ]
        for label in compared(study, panel):
            text += _split_lines(study, panel, label)
    primaries = "; ".join(f"{p.title}: {metric_title(p.primary)}" for p in split_panels(study))
    caption = (
        "Where the law of the data is known, so is the exact field, and the error splits. All are "
        "RMSE of end points from the same noise, in units of the data. Field: a fine solve of the "
        "model against one of the exact field. Solver: a cell against the fine solve of the same "
        "field, for the model and for the exact field; the latter is what a perfect model has "
        "left. Total: the model's cell against the fine solve of the exact field; for each seed it "
        "is at most field plus solver of the model. The primary metric stands beside them "
        f"({primaries or 'none'}). A model may be better for a coarse solver than the exact field, "
        "whose rows are of the noise of the first seed alone. Only models of an independent "
        "coupling without guidance have this field; minibatch OT and stored pairs have another one "
        "with the same ends, and no row. The CSV has every solver, and the field over log_snr. "
        f"{INTERVAL_NOTE}"
    )
    return Table(
        "error_split",
        "Error of the field and of the solver",
        caption,
        pd.DataFrame(data),
        pd.DataFrame(text).fillna(MISSING),
    )


def _split_lines(study: Study, panel: Panel, label: str) -> Iterator[dict[str, str]]:
    """Lines of a label: a solver and an NFE each."""
    rows, primary = scored(study, panel), panel.primary
    known = exact_label(study.experiment(panel).formulation(label).final.path)
    field = study.model_metric(panel, label, FIELD)
    for solver in (COMMON_SOLVER, SECOND_SOLVER):
        grid = study.own_grid(panel, label, solver)
        columns = {
            "solver, model": by_nfe(rows, label, solver, grid, DISCRETISATION),
            "solver, exact field": by_nfe(rows, known, solver, grid, DISCRETISATION),
            "total": by_nfe(rows, label, solver, grid, TOTAL),
            f"{primary}, model": by_nfe(rows, label, solver, grid, primary),
            f"{primary}, exact field": by_nfe(rows, known, solver, grid, primary),
        }
        for nfe in columns["total"]:
            line: dict[str, str] = {
                BLOCK: panel.title,
                "formulation": study.titles[label],
                "solver": str(solver),
                "NFE": str(nfe),
                "field": bracket(field),
            }
            yield line | {name: bracket(c[nfe]) for name, c in columns.items() if nfe in c}
