"""Real data against real data, and the baselines: the table ``floor``."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from bench.evidence.statistics import Interval
from bench.evidence.statistics.floor import Level, over_floor
from bench.report.by_evaluations import AT_FLOOR, COPIED, COPY_NOTE, primaries
from bench.report.declared import DeclaredTable
from bench.report.numbers import MISSING, banded, bracket, seeds
from bench.report.study import Study
from bench.report.table import BLOCK, FAILED, INTERVAL_NOTE, Table, absent, columns_of
from bench.report.titles import COPIES, FLOORS, REAL

SHORT = {REAL: "floor", "floor.gaussian": "Gaussian", "floor.untrained": "untrained"}
"""Baselines that every row is held against."""


def floor(study: Study) -> Table:
    """What the primary metric reads for real data, baselines and models."""
    data: list[dict[str, Any]] = []
    text: list[dict[str, str]] = []
    for panel in study.panels:
        floors = {key: study.floors.level(panel, key) for key in FLOORS}
        place = {"experiment": panel.experiment, "dataset": panel.dataset, "metric": panel.primary}
        against = {SHORT[key]: floors[key] for key in SHORT}
        for key, level in floors.items():
            line = {BLOCK: panel.title, "what": FLOORS[key], "primary metric": banded(level)}
            if level is None:
                if key != COPIES:  # unlimited data have nothing to copy
                    text.append(line | {"primary metric": FAILED})
                continue
            ratios = {name: _over(level.draws, other) for name, other in against.items()}
            text.append(line | _shown(ratios))
            facts = {"estimate": level.value, "low": level.low, "high": level.high}
            facts |= {"draws": len(level.draws)}
            data.append(place | {"label": key} | facts | _columns(ratios))
        for label in study.labels(panel):
            line = {BLOCK: panel.title, "what": study.titles[label]}
            curve = study.curve(panel, label, study.selected)
            if not curve:
                text.append(line | {"primary metric": absent(study, panel, label)})
                continue
            nfe = min(curve, key=lambda n: curve[n].estimate)
            expected = study.expected(panel)
            values = study.by_seed(panel, label, nfe).values()
            ratios = {name: _over(values, other) for name, other in against.items()}
            mark = COPIED if study.floors.copies(panel, label, nfe) else ""
            shown = f"{bracket(curve[nfe])}{mark} at NFE {nfe}{seeds(curve[nfe].n, expected)}"
            at_floor = study.floors.at_floor(panel, label, nfe)
            shown += f", {AT_FLOOR}" if at_floor else ""
            text.append(line | {"primary metric": shown} | _shown(ratios))
            facts = columns_of(curve[nfe], expected) | {"nfe": nfe, "at_floor": at_floor}
            data.append(place | {"label": label} | facts | _columns(ratios))
    copying = COPY_NOTE if any(map(study.floors.tells_copies, study.panels)) else ""
    caption = (
        f"Where the scale of the primary metric lies ({primaries(study)}). Real samples are the "
        "floor: as many as a model is scored on, against the very held-out blocks that models "
        "meet, drawn again and again; their mean, and the band that holds 95% of them. Training "
        "data drawn again is what a perfect copier scores. A fitted Gaussian needs no network; an "
        "untrained network is the start of training. Each formulation stands with its lowest seed "
        "mean over the NFEs. Over the floor: the ratio of geometric means, with Welch's 95% "
        "interval over seeds and draws; the other ratios say how many times the Gaussian and the "
        f"untrained network a row measures. {copying}{INTERVAL_NOTE}"
    )
    return Table(
        "floor",
        "Floor, copies, fitted Gaussian and untrained network",
        caption,
        pd.DataFrame(data),
        pd.DataFrame(text).fillna(MISSING),
    )


def _over(values: Iterable[float], level: Level | None) -> Interval | None:
    ratio = None if level is None else over_floor(values, level)
    return None if ratio is None or math.isnan(ratio.estimate) else ratio


def _shown(ratios: dict[str, Interval | None]) -> dict[str, str]:
    return {f"over {name}": bracket(ratio) for name, ratio in ratios.items() if ratio}


def _columns(ratios: dict[str, Interval | None]) -> dict[str, float]:
    columns = {f"over_{name}": ratio.estimate for name, ratio in ratios.items() if ratio}
    over = ratios["floor"]
    if over:
        columns |= {"over_floor_low": over.low, "over_floor_high": over.high}
    return columns


TABLE = DeclaredTable(
    section="quality",
    rank=60,
    build=floor,
    columns=(
        "experiment", "dataset", "metric", "label", "estimate", "low", "high", "draws",
        "over_floor", "over_Gaussian", "over_untrained", "over_floor_low",
        "over_floor_high", "scale", "seeds", "seeds_expected", "nfe", "at_floor",
    ),
)  # fmt: skip
