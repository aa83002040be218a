"""Models of one path sampled on all of them: the table ``unified_view``."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bench.evidence.statistics import interval
from bench.experiment.cells import EXACT, UNIFIED
from bench.report.declared import DeclaredTable
from bench.report.exact_field import DISCRETISATION, scored
from bench.report.numbers import MISSING, bracket, plain, seeds
from bench.report.study import Panel, Study
from bench.report.table import BLOCK, INTERVAL_COLUMNS, INTERVAL_NOTE, Table, absent, columns_of

EXACT_TITLE = "exact field"


def _view_rows(study: Study, panel: Panel) -> pd.DataFrame:
    rows = scored(study, panel)
    return rows[(rows["grid"] == UNIFIED).fillna(False)]


def _view_titles(study: Study, panel: Panel) -> dict[str, tuple[str, str]]:
    """Title and trained path of every row, the exact field last."""
    experiment = study.experiment(panel)
    titles = {
        label: (study.titles[label], experiment.formulation(label).final.path.name)
        for label in study.labels(panel)
        if study.has_flow(panel, label)
    }
    return titles | {EXACT: (EXACT_TITLE, "")}


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
            values = cells["value"].to_numpy(dtype=float)
            places = cells.groupby(["label", "sampled_path", "metric"], sort=False).indices
            swept = set(cells["label"].dropna())
            for label, (title, trained) in _view_titles(study, panel).items():
                if label not in swept and (label == EXACT or not len(study.failures(panel, label))):
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
                    quality = interval(
                        values[places.get((label, path, panel.primary), [])], panel.primary
                    )
                    if not quality.n:
                        # No solver could spend it, a failure, or a path of another label alone.
                        line[path] = MISSING if label == EXACT else absent(study, panel, label)
                        continue
                    rmse = interval(
                        values[places.get((label, path, DISCRETISATION), [])], DISCRETISATION
                    )
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
                    for metric, seed_interval in ((panel.primary, quality), (DISCRETISATION, rmse)):
                        data.append(
                            place | {"metric": metric} | columns_of(seed_interval, expected)
                        )
                text.append(line)
    frame = pd.DataFrame(data)
    caption = (
        "A model of one Gaussian path is a model of every other one after a change of time and "
        "scale, whatever its coupling (Kingma & Gao, 2023, arXiv:2303.00848). Rows: the path a "
        "model was trained on. Columns: the path it is sampled on, with the "
        "same solver, the same start, the same points "
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
    count = sum(name in paths for name, paths in zip(trained, best, strict=True))
    return (
        f"In {count} of {len(best)} rows no sampled path has a lower RMSE than the trained one. "
        if best
        else ""
    )


TABLE = DeclaredTable(
    section="paths",
    rank=10,
    build=unified_view,
    columns=(
        "experiment", "dataset", "label", "trained_path", "sampled_path", "solver",
        "nfe", "metric", *INTERVAL_COLUMNS,
    ),
)  # fmt: skip
