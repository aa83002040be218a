"""Tables of what the models reach: quality, evaluations needed, straightness, floor."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from bench.evidence.statistics import interval
from bench.metrics.declared import directions
from bench.report.numbers import (
    MISSING,
    bracket,
    plain,
    seeds,
    tick,
)
from bench.report.study import COMMON_SOLVER, SETUP, TRAIN, Study
from bench.report.tables.table import (
    BLOCK,
    FAILED,
    INTERVAL_NOTE,
    NOT_APPLICABLE,
    Table,
    absent,
    columns_of,
)
from bench.report.titles import metric_title
from bench.sampling.solvers.catalogue import SOLVERS


def _sampler_mix(counts: dict[str, int]) -> str:
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{name} x{n}" for name, n in counts.items())


def _quality_by_nfe(study: Study, chosen: pd.DataFrame, with_sampler: bool) -> tuple[Any, Any]:
    data, text = [], []
    for panel in study.panels:
        expected, nfe_list = study.expected(panel), study.nfe(panel)
        real = study.floor(panel, "floor.train")
        floor = math.nan if real is None else real.value
        for label in study.labels(panel):
            curve = study.curve(panel, label, chosen)
            missing = absent(study, panel, label)
            line = {BLOCK: panel.title, "formulation": study.titles[label]}
            for nfe in nfe_list:
                found = curve.get(nfe)
                mix = study.samplers(panel, label, nfe) if with_sampler else {}
                if found is None:
                    cell = missing
                else:
                    mean, *bounds = bracket(found).split(" ", 1)
                    parts = [mean + seeds(found.n, expected), *bounds]
                    cell = "\n".join(parts + ([_sampler_mix(mix)] if mix else []))
                    data.append(
                        {
                            "experiment": panel.experiment,
                            "dataset": panel.dataset,
                            "label": label,
                            "metric": panel.primary,
                            "nfe": nfe,
                            "sampler": _sampler_mix(mix) if mix else COMMON_SOLVER,
                            **columns_of(found, expected),
                            "floor": floor,
                        }
                    )
                line[f"NFE {nfe}"] = cell
            if not curve and missing != FAILED:
                line |= {f"NFE {nfe}": NOT_APPLICABLE for nfe in nfe_list}
            text.append(line | {"floor": plain(floor)})
    return pd.DataFrame(data), pd.DataFrame(text).fillna(MISSING)


def _primaries(study: Study) -> str:
    return "; ".join(f"{p.title}: {metric_title(p.primary)}" for p in study.panels)


def summary(study: Study) -> Table:
    """Primary metric at each NFE with the sampler that was selected on the other seeds."""
    data, text = _quality_by_nfe(study, study.selected, with_sampler=True)
    caption = (
        f"Lower is better ({_primaries(study)}). Each formulation, at each number of network "
        "evaluations (NFE), with the sampler that was best on the other seeds and other noise; "
        "its name stands below, with its grid where that is not its own. Floor: training data "
        f"against held-out data at the same sample size. {INTERVAL_NOTE}"
    )
    return Table("summary", "Quality at each number of evaluations", caption, data, text)


def _without_flow(study: Study, words: str) -> str:
    """``words`` and the formulations that solve no equation, or nothing where all do."""
    found = [
        study.titles[label]
        for panel in study.panels
        for label in study.labels(panel)
        if not study.has_flow(panel, label)
    ]
    return f"{words} {', '.join(dict.fromkeys(found))}. " if found else ""


def _common_grids(study: Study) -> str:
    """The grids that the common solver runs on, with the formulations that name other ones."""
    named: dict[str, dict[str, None]] = {}
    for panel in study.panels:
        for label in filter(partial(study.has_flow, panel), study.labels(panel)):
            grid = study.own_grid(panel, label, COMMON_SOLVER)
            named.setdefault(grid, {})[study.titles[label]] = None
    usual = SOLVERS[COMMON_SOLVER].grid
    others = [f"{grid} for {', '.join(titles)}" for grid, titles in named.items() if grid != usual]
    return f"on the grid {usual}" + (f" ({'; '.join(others)})" if others else "")


def common_solver(study: Study) -> Table:
    """Primary metric at each NFE with one solver for all."""
    data, text = _quality_by_nfe(study, study.common, with_sampler=False)
    caption = (
        f"The same with one solver for all, {COMMON_SOLVER} {_common_grids(study)}. A common "
        "solver is unfair to paths that need their own; it stands here to show how much the choice "
        f"matters. {_without_flow(study, 'It does not apply to')}{INTERVAL_NOTE}"
    )
    return Table("common_solver", "Quality with one common solver", caption, data, text)


def adaptive(study: Study) -> Table:
    """Adaptive solvers by tolerance, with the evaluations that they were measured to spend."""
    data, text = [], []
    for panel in study.panels:
        expected = study.expected(panel)
        rows = study.measured(panel)
        rows = rows[
            (rows["metric"] == panel.primary)
            & rows["tolerance"].notna()
            & (rows["noise_bank"] == "scoring")
            & (rows["status"] == "ok")
            & (rows["reference_set"] != TRAIN).fillna(True)
        ]
        for label in study.labels(panel):
            mine = rows[rows["label"] == label]
            for (solver, tolerance), cell in mine.groupby(["solver", "tolerance"], sort=True):
                quality = interval(cell["value"].astype(float), panel.primary)
                nfe = float(cell["nfe"].mean())
                low, high = float(cell["nfe_min"].min()), float(cell["nfe_max"].max())
                data.append(
                    {
                        "experiment": panel.experiment,
                        "dataset": panel.dataset,
                        "label": label,
                        "solver": solver,
                        "tolerance": tolerance,
                        "nfe_mean": nfe,
                        "nfe_min": low,
                        "nfe_max": high,
                        "metric": panel.primary,
                        **columns_of(quality, expected),
                    }
                )
                text.append(
                    {
                        BLOCK: panel.title,
                        "formulation": study.titles[label],
                        "solver": solver,
                        "tolerance": tick(cell["tolerance"].iloc[0]),
                        "NFE (min to max)": f"{plain(nfe)} ({low:.0f} to {high:.0f})",
                        "quality": bracket(quality) + seeds(quality.n, expected),
                    }
                )
    caption = (
        "Adaptive solvers choose their own evaluations, so they are listed by what they were "
        "measured to spend (mean over seeds and batches, with the extremes) and take no part in "
        f"the selection at a fixed NFE. {INTERVAL_NOTE}"
    )
    columns = ["data set", "formulation", "solver", "tolerance", "NFE (min to max)", "quality"]
    text_frame = pd.DataFrame(text, columns=columns)
    return Table("adaptive", "Adaptive solvers", caption, pd.DataFrame(data), text_frame)


def quality(study: Study) -> Table:
    """Every metric of the selected cells."""
    data, text = [], []
    for panel in study.panels:
        expected = study.expected(panel)
        rows = study.at_selected(panel)
        rows = rows[(rows["metric"] != SETUP).fillna(False)]
        arrows = {"lower": " ↓", "higher": " ↑", None: ""}
        better = directions(study.experiment(panel).described(panel.dataset))
        names = {
            (metric, reference): metric_title(metric)
            + (" against train" if reference == TRAIN else "")
            + arrows[better.get(metric)]
            for metric, reference in sorted(
                set(zip(rows["metric"].dropna(), rows["reference_set"].fillna(""), strict=False)),
                key=lambda pair: (pair[0] != panel.primary, pair),
            )
        }
        for label in study.labels(panel):
            mine = rows[rows["label"] == label]
            shown = _few(sorted(set(mine["nfe"])))
            for nfe, cell in mine.groupby("nfe", sort=True):
                line = {
                    BLOCK: panel.title,
                    "formulation": study.titles[label],
                    "NFE": str(nfe),
                }
                for (metric, reference), name in names.items():
                    hit = (cell["metric"] == metric) & (
                        cell["reference_set"].fillna("") == reference
                    )
                    values = cell[hit]["value"].to_numpy(dtype=float, na_value=np.nan)
                    if not np.isfinite(values).any():
                        continue
                    found = interval(values, metric)
                    line[name] = bracket(found) + seeds(found.n, expected)
                    data.append(
                        {
                            "experiment": panel.experiment,
                            "dataset": panel.dataset,
                            "label": label,
                            "nfe": nfe,
                            "metric": metric,
                            "reference_set": reference,
                            **columns_of(found, expected),
                        }
                    )
                if nfe in shown:
                    text.append(line)
    caption = (
        "Every metric with the selected sampler (↓ lower is better, ↑ higher is better). "
        "Memorisation is the fraction of samples nearer to a training sample than to any of as "
        "many held-out ones: 0.5 means none, 1 means that all samples hug the training set; read "
        "every Fréchet distance beside it. Authenticity is the share of samples that lie farther "
        "from their nearest training image than its own neighbour does: copies score 0. The "
        "extrapolated distance fits a line over the inverse number of samples, against all "
        "held-out images. Energy distance, squared discrepancy and extrapolated distance can fall "
        "below zero. The distance against train flatters models that memorise and ranks nothing "
        "here. Samplers that add noise of their own have no end point "
        f"to compare with a fine solve. The CSV has every NFE. {INTERVAL_NOTE}"
    )
    return Table(
        "quality",
        "All metrics with the selected sampler",
        caption,
        pd.DataFrame(data),
        pd.DataFrame(text).fillna(MISSING),
    )


def _few(nfe: list[int]) -> list[int]:
    """First, second, middle and last of a list of NFEs."""
    return sorted({nfe[i] for i in (0, 1, len(nfe) // 2, -1) if i < len(nfe)}) if nfe else []
