"""Every metric of the selected cells: the table ``quality``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from bench.evidence.statistics import interval
from bench.metrics.declared import directions
from bench.report.declared import DeclaredTable
from bench.report.floors import COPYING, TRAIN
from bench.report.numbers import MISSING, banded, bracket, seeds
from bench.report.study import SETUP, Panel, Study
from bench.report.table import BLOCK, INTERVAL_COLUMNS, INTERVAL_NOTE, Table, columns_of
from bench.report.titles import COPIES, FLOORS, HELD_OUT, REAL, metric_title


def quality(study: Study) -> Table:
    """Every metric of the selected cells."""
    data: list[dict[str, Any]] = []
    text: list[dict[str, str]] = []
    for panel in study.panels:
        expected = study.expected(panel)
        rows = study.at_selected(panel)
        rows = rows[(rows["metric"] != SETUP).fillna(False)].fillna({"reference_set": ""})
        arrows = {"lower": " ↓", "higher": " ↑", None: ""}
        better = directions(study.experiment(panel).described(panel.dataset))
        names = {
            (metric, reference): metric_title(metric)
            + (" against train" if reference == TRAIN else "")
            + arrows[better.get(metric)]
            for metric, reference in sorted(
                set(zip(rows["metric"], rows["reference_set"], strict=True)),
                key=lambda pair: (pair[0] != panel.primary, pair),
            )
        }
        text += _floors(study, panel, names)
        for label in study.labels(panel):
            label_rows = rows[rows["label"] == label]
            shown = _few(sorted(set(label_rows["nfe"])))
            for nfe, cell in label_rows.groupby("nfe", sort=True):
                line = {
                    BLOCK: panel.title,
                    "formulation": study.titles[label],
                    "NFE": str(nfe),
                }
                every = cell["value"].to_numpy(dtype=float, na_value=np.nan)
                places = cell.groupby(["metric", "reference_set"], sort=False).indices
                for (metric, reference), name in names.items():
                    values = every[places.get((metric, reference), [])]
                    if not np.isfinite(values).any():
                        continue
                    seed_interval = interval(values, metric)
                    line[name] = bracket(seed_interval) + seeds(seed_interval.n, expected)
                    data.append(
                        {
                            "experiment": panel.experiment,
                            "dataset": panel.dataset,
                            "label": label,
                            "nfe": nfe,
                            "metric": metric,
                            "reference_set": reference,
                            **columns_of(seed_interval, expected),
                        }
                    )
                if nfe in shown:
                    text.append(line)
    caption = (
        "Every metric with the selected sampler (↓ lower is better, ↑ higher is better). "
        "First stand real samples and training data drawn again, with the band that holds 95% of "
        "such draws. Memorisation is the fraction of samples nearer to a training sample than to "
        "any of as many held-out ones: 0.5 means none, 1 means that all samples hug the training "
        "set; read every Fréchet distance beside it. Authenticity is the share of samples that lie "
        "farther from their nearest training image than its own neighbour does: copies score 0, "
        "and real held-out samples what their line says. The "
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


def _floors(
    study: Study, panel: Panel, names: Mapping[tuple[str, str], str]
) -> Iterator[dict[str, str]]:
    """What real samples, those that were held out, and copies score by each metric."""
    titles = FLOORS | {HELD_OUT: "real samples, held out"}
    for label in (REAL, HELD_OUT, COPIES):
        levels = {
            name: level
            for (metric, reference), name in names.items()
            if reference != TRAIN or metric in COPYING
            if (level := study.floors.level(panel, label, metric)) is not None
        }
        if levels:
            cells = {name: banded(level) for name, level in levels.items()}
            yield {BLOCK: panel.title, "formulation": titles[label], "NFE": MISSING} | cells


def _few(nfe: list[int]) -> list[int]:
    """First, second, middle and last of a list of NFEs."""
    return sorted({nfe[i] for i in (0, 1, len(nfe) // 2, -1) if i < len(nfe)}) if nfe else []


TABLE = DeclaredTable(
    section="quality",
    rank=80,
    build=quality,
    columns=(
        "experiment", "dataset", "label", "nfe", "metric", "reference_set",
        *INTERVAL_COLUMNS,
    ),
)  # fmt: skip
