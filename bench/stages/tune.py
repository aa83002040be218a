"""Choose the learning rates: for each data set and formulation one winner of a small common grid.

A tuning experiment runs every formulation at every rate of the grid, on a seed that is never
reported. The score of a rate is the geometric mean, over the evaluation counts of the formulation,
of the primary metric with the best solver at each. It is taken on the noise bank ``selection`` and,
where the metric has one, against the training set: held-out data play no part in the choice.
"""

from __future__ import annotations

import math
import sys

import numpy as np
import pandas as pd

from bench.errors import InputError
from bench.evidence import records
from bench.experiment.layout import Layout
from bench.experiment.spec import Experiment, untuned
from bench.report import RECORDS, rates
from bench.report.numbers import MISSING, plain, tick
from bench.report.study import Study
from bench.report.style import save, styled
from bench.report.table import BLOCK, FAILED, Table

BANK = "selection"


def run(experiment: Experiment, layout: Layout) -> None:
    """Write table and figure of the grid, and print the winners as a block for a config.

    Raises:
        InputError: the experiment has no grid, or its records have not been collected.
    """
    if experiment.tuning is None:
        raise InputError(f"{experiment.name}: no tuning section; give a tuning experiment")
    if not (layout.root / RECORDS).is_file():
        raise InputError(f"{layout.root}: no {RECORDS}; run collect first")
    rate_scores = scores(experiment, records.read(layout.root / RECORDS))
    study = Study(records.frame([]), [experiment])
    table(study, rate_scores).write(layout.root / "tables")
    with styled():
        drawing = rates.draw(rate_scores, _names(study), {p.dataset: p.title for p in study.panels})
        save(drawing, layout.root / "figures", "tuning", "Learning rates")
    for warning in edges(rate_scores):
        print(f"warning: {warning}", file=sys.stderr)
    print(yaml_block(winners(rate_scores)))


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
        & (rows["noise_bank"] == BANK)
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
    names = _names(study)
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


def _names(study: Study) -> dict[str, str]:
    """Titles of the labels without their rates."""
    return {untuned(label): title.split("@")[0] for label, title in study.titles.items()}


def yaml_block(picked: dict[str, dict[str, float]]) -> str:
    """The winners as they stand in a config, below ``training``."""
    lines = ["learning_rate:"]
    for dataset, winning in picked.items():
        lines.append(f"  {dataset}:")
        lines += [f"    {label}: {_yaml_number(rate)}" for label, rate in winning.items()]
    return "\n".join(lines)


def _yaml_number(rate: float) -> str:
    """YAML reads ``1e-05`` as a string, ``1.0e-05`` as a number."""
    text = f"{rate:g}"
    return text.replace("e", ".0e") if "e" in text and "." not in text else text
