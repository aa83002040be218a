"""Over all data sets of an experiment: ranks, interquartile mean, probability of improvement."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bench.evidence.statistics.datasets import (
    Scores,
    interquartile_mean,
    probability_of_improvement,
    ranks,
)
from bench.report.declared import DeclaredTable
from bench.report.numbers import MISSING, plain, seeds
from bench.report.study import Panel, Study
from bench.report.table import BLOCK, Table

LEAST = 2
"""Data sets that a summary over data sets is taken of."""

CRITICAL = "critical difference of ranks"


def across_datasets(study: Study) -> Table:
    """Each formulation at each NFE over the data sets of an experiment."""
    data, text = [], []
    for experiment in study.experiments:
        panels = [panel for panel in study.panels if panel.experiment == experiment.name]
        if len(panels) < LEAST:
            continue
        title = f"{experiment.name}: {len(panels)} data sets"
        lines = {
            label: {BLOCK: title, "formulation": study.titles[label]} for label in experiment.labels
        }
        last = {BLOCK: title, "formulation": CRITICAL}
        for nfe in sorted(set.intersection(*(set(study.nfe(panel)) for panel in panels))):
            scores = _scores(study, panels, experiment.labels, nfe)
            at_floor = {
                label: [study.floors.at_floor(panel, label, nfe) for panel in panels]
                for label in scores
            }
            rows = _summaries(scores, _floors(study, panels), at_floor)
            data += [
                {"experiment": experiment.name, "nfe": nfe, "datasets": len(panels), **row}
                for row in rows
            ]
            for row in rows:
                shown = [plain(row[name]) for name in ("mean_rank", "iqm", "improvement")]
                shown[0] += seeds(row["seeds"], len(experiment.seeds))
                lines[row["label"]][f"NFE {nfe}"] = "\n".join(shown)
                last[f"NFE {nfe}"] = plain(row["critical_difference"])
        text += [*lines.values(), last]
    caption = (
        "Three lines a cell, each over all data sets of the experiment, with the selected sampler. "
        "Mean rank among the formulations that have a value on every data set, by the geometric "
        "mean over seeds; 1 is best, and all that are at the floor share it. Interquartile mean, "
        "over data sets and the seeds that all of them have, of the primary metric in units of the "
        "floor (rliable, "
        "Agarwal et al., 2021, 2108.13264). Probability of improvement: "
        "that a seed of this formulation is better than a seed of another one, "
        "mean over data sets and over the other formulations. Mean ranks that differ by less than "
        "the critical difference (Nemenyi, level 5%, all pairs) cannot be told apart; over two or "
        "three data sets hardly any can, and the tables of each data set say more. (k/n): k of n "
        "seeds."
    )
    return Table(
        "across_datasets",
        "Over all data sets",
        caption,
        pd.DataFrame(data),
        pd.DataFrame(text).fillna(MISSING),
    )


def _scores(
    study: Study, panels: list[Panel], labels: tuple[str, ...], nfe: int
) -> dict[str, Scores]:
    """Values ``[seeds, datasets]`` of the seeds of a label that all data sets have."""
    scores = {}
    for label in labels:
        columns = [study.by_seed(panel, label, nfe) for panel in panels]
        common = sorted(set.intersection(*(set(column) for column in columns)))
        if common:
            scores[label] = np.array([[column[seed] for column in columns] for seed in common])
    return scores


def _floors(study: Study, panels: list[Panel]) -> Scores:
    """The floor of each data set, NaN where it was not measured."""
    floors = [study.floors.level(panel, "floor.train") for panel in panels]
    return np.array([math.nan if floor is None else floor.value for floor in floors])


def _summaries(
    scores: dict[str, Scores], floors: Scores, at_floor: Mapping[str, Sequence[bool]]
) -> list[dict[str, Any]]:
    """A row for each label; one that stands alone has no rank.

    Labels that are at the floor of a data set share the first rank there.
    """
    if len(scores) < 2:
        return []
    means = np.stack([np.log(values).mean(axis=0) for values in scores.values()], axis=1)
    means[np.array([at_floor[label] for label in scores]).T] = -math.inf
    ranked = ranks(means)
    rows = []
    for place, (label, label_scores) in enumerate(scores.items()):
        against = [
            probability_of_improvement(label_scores, other_scores)
            for name, other_scores in scores.items()
            if name != label
        ]
        rows.append(
            {
                "label": label,
                "mean_rank": float(ranked.mean[place]),
                "critical_difference": ranked.critical_difference,
                "iqm": interquartile_mean(label_scores / floors),
                "improvement": float(np.mean(against)),
                "seeds": len(label_scores),
                "formulations": len(scores),
            }
        )
    return rows


TABLE = DeclaredTable(
    section="quality",
    rank=30,
    build=across_datasets,
    columns=(
        "experiment", "nfe", "datasets", "label", "mean_rank", "critical_difference",
        "iqm", "improvement", "seeds", "formulations",
    ),
)  # fmt: skip
