"""The choice of learning rates: a score for each rate of a grid, and one winner a formulation.

The score of a rate is the geometric mean, over the evaluation counts of the formulation, of the
primary metric with the best solver at each. It is taken on the noise bank ``selection`` and, where
the metric has one, against the training set: held-out data play no part in the choice.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from bench.experiment.cells import SELECTION
from bench.experiment.spec import Experiment, untuned
from bench.report.numbers import MISSING, plain, tick
from bench.report.study import Study
from bench.report.table import BLOCK, FAILED, Table


def scores(experiment: Experiment, table: pd.DataFrame) -> pd.DataFrame:
    """Score of every rate: a row a (dataset, label, learning_rate).

    Columns besides: ``score`` (NaN where a cell that another rate has is missing), ``cells``,
    ``core_seconds``, and ``winner``.
    """
    rows = []
    for dataset in experiment.datasets:
        primary = experiment.described(dataset).primary
        best = _best_over_solvers(table[table["dataset"] == dataset], primary)
        for name in experiment.labels:
            label, nfe = untuned(name), _swept(best, untuned(name))
            values = best[best.index.get_level_values("label") == name].droplevel("label")
            values = values.reindex(nfe)
            rows.append(
                {
                    "experiment": experiment.name,
                    "dataset": dataset,
                    "label": label,
                    "learning_rate": experiment.learning_rate(dataset, name),
                    "score": float(np.exp(values.mean(skipna=False))) if len(values) else math.nan,
                    "cells": int(values.notna().sum()),
                    "core_seconds": _core_seconds(table, dataset, name),
                }
            )
    rate_scores = pd.DataFrame(rows)
    lowest = rate_scores.groupby(["dataset", "label"])["score"].transform("min")
    return rate_scores.assign(winner=rate_scores["score"] == lowest)


def _best_over_solvers(rows: pd.DataFrame, metric: str) -> pd.Series:
    """Log of the lowest value over solvers, indexed by (label, nfe_requested)."""
    rows = rows[
        (rows["metric"] == metric)
        & (rows["status"] == "ok")
        & (rows["noise_bank"] == SELECTION)
        & rows["tolerance"].isna()
        & rows["train_seed"].notna()
    ]
    against_train = (rows["reference_set"] == "train").fillna(False)
    if against_train.any():
        rows = rows[against_train]
    log = np.log(rows["value"].astype(float).where(lambda value: value > 0))
    return rows.assign(log=log).groupby(["label", "nfe_requested"])["log"].min()


def _swept(best: pd.Series, label: str) -> list[int]:
    """Evaluation counts at which some rate of a label has a value."""
    labels = best.index.get_level_values("label").map(untuned)
    return sorted(set(best.index[labels == label].get_level_values("nfe_requested")))


def _core_seconds(table: pd.DataFrame, dataset: str, name: str) -> float:
    is_rate = (table["dataset"] == dataset) & (table["label"] == name)
    cost = table["metric"].str.startswith("cost.")
    return float(table[(is_rate & cost).fillna(False)]["value"].sum())


def winners(rate_scores: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Winning rate by data set and label; between equal scores the lowest rate."""
    won = rate_scores[rate_scores["winner"]].drop_duplicates(["dataset", "label"])
    picked: dict[str, dict[str, float]] = {}
    for dataset, label, rate in zip(
        won["dataset"], won["label"], won["learning_rate"], strict=True
    ):
        picked.setdefault(dataset, {})[label] = rate
    return picked


def edges(rate_scores: pd.DataFrame) -> list[str]:
    """A line for each winner that lies at an end of its grid, and each label without one."""
    said = []
    picked = winners(rate_scores)
    for (dataset, label), grid in rate_scores.groupby(["dataset", "label"], sort=False):
        rate = picked.get(str(dataset), {}).get(str(label))
        rates = sorted(grid["learning_rate"])
        if rate is None:
            said.append(f"{dataset} {label}: no rate has every value")
        elif len(rates) > 1 and rate in (rates[0], rates[-1]):
            said.append(
                f"{dataset} {label}: the winner {tick(rate)} lies at the edge of the grid; extend "
                "tuning.learning_rates"
            )
    return said


def table(study: Study, rate_scores: pd.DataFrame) -> Table:
    """Every rate's score, the winner marked, and what the grid has cost."""
    titles = {p.dataset: p.title for p in study.panels}
    names = base_titles(study)
    picked = winners(rate_scores)
    text = []
    for (dataset, label), grid in rate_scores.groupby(["dataset", "label"], sort=False):
        winner = picked.get(str(dataset), {}).get(str(label))
        line = {BLOCK: titles[str(dataset)], "formulation": names[str(label)]}
        grid = grid.sort_values("learning_rate")
        for rate, score in zip(grid["learning_rate"], grid["score"], strict=True):
            mark = " *" if rate == winner else ""
            line[tick(rate)] = (FAILED if math.isnan(score) else plain(score)) + mark
        line["winner"] = MISSING if winner is None else tick(winner)
        line["core-seconds"] = plain(float(grid["core_seconds"].sum()))
        text.append(line)
    caption = (
        "Learning rates on the tuning seed, which no reported experiment uses. Score: geometric "
        "mean over the evaluation counts of the primary metric with the best solver at each, on "
        "the selection noise and, for images, against the training set; lower is better. The star "
        "marks the winner. Core-seconds are those of the whole row."
    )
    return Table("tuning", "Learning rates", caption, rate_scores, pd.DataFrame(text))


def base_titles(study: Study) -> dict[str, str]:
    """Titles of the labels without their rates."""
    return {untuned(label): title.split("@")[0] for label, title in study.titles.items()}
