"""Real data against real data, and the baselines: the table ``floor``."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from bench.report.by_evaluations import primaries
from bench.report.declared import DeclaredTable
from bench.report.numbers import (
    MISSING,
    bracket,
    plain,
    seeds,
)
from bench.report.study import Level, Study
from bench.report.table import BLOCK, FAILED, Table, absent, columns_of
from bench.report.titles import FLOORS

SHORT = {
    "floor.train": "floor",
    "floor.gaussian": "Gaussian",
    "floor.untrained": "untrained",
}


def _ratios(value: float, floors: dict[str, Level | None]) -> dict[str, float]:
    """How many times the floor, the Gaussian and the untrained network a value is."""
    return {
        f"over {SHORT[key]}": value / level.value if level and level.value else math.nan
        for key, level in floors.items()
    }


def floor(study: Study) -> Table:
    """What the primary metric reads for real data, a fitted Gaussian, an untrained net, models."""
    data: list[dict[str, Any]] = []
    text: list[dict[str, str]] = []
    for panel in study.panels:
        floors = {key: study.floor(panel, key) for key in FLOORS}
        place = {"experiment": panel.experiment, "dataset": panel.dataset, "metric": panel.primary}
        rows: list[tuple[str, str, str, dict[str, Any]]] = []
        for key, level in floors.items():
            if level is None:
                rows.append((key, FLOORS[key], FAILED, {}))
                continue
            error = "" if math.isnan(level.error) else f" ± {plain(level.error, 2)}"
            facts = {"estimate": level.value, "standard_error": level.error}
            rows.append((key, FLOORS[key], plain(level.value) + error, facts))
        for label in study.labels(panel):
            curve = study.curve(panel, label, study.selected)
            if not curve:
                rows.append((label, study.titles[label], absent(study, panel, label), {}))
                continue
            nfe = min(curve, key=lambda n: curve[n].estimate)
            expected = study.expected(panel)
            facts = columns_of(curve[nfe], expected) | {"nfe": nfe}
            shown = f"{bracket(curve[nfe])} at NFE {nfe}{seeds(curve[nfe].n, expected)}"
            rows.append((label, study.titles[label], shown, facts))
        for key, what, shown, facts in rows:
            line = {BLOCK: panel.title, "what": what, "primary metric": shown}
            if facts:
                ratios = _ratios(facts["estimate"], floors)
                line |= {name: plain(ratio) for name, ratio in ratios.items()}
                columns = {name.replace(" ", "_"): ratio for name, ratio in ratios.items()}
                data.append(place | {"label": key} | facts | columns)
            text.append(line)
    caption = (
        f"Where the scale of the primary metric lies ({primaries(study)}). Train vs held-out is "
        "the floor: real data at the same sample size, mean over disjoint blocks and its standard "
        "error. A fitted Gaussian needs no network; an untrained network is the start of training. "
        "Each formulation stands with its lowest seed mean over the NFEs. The ratios say how many "
        "times the floor, the Gaussian and the untrained network a row measures: below 1 beats it."
    )
    return Table(
        "floor",
        "Floor, fitted Gaussian and untrained network",
        caption,
        pd.DataFrame(data),
        pd.DataFrame(text).fillna(MISSING),
    )


TABLE = DeclaredTable(
    section="quality",
    rank=60,
    build=floor,
    columns=(
        "experiment", "dataset", "metric", "label", "estimate", "standard_error",
        "over_floor", "over_Gaussian", "over_untrained", "low", "high", "scale",
        "seeds", "seeds_expected", "nfe",
    ),
)  # fmt: skip
