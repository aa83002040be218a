"""The table of variance components, recomputed from records.parquet by other means."""

from __future__ import annotations

import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.evidence.statistics.power import power
from bench.report.study import Study
from bench.report.tables.variance import (
    ALL_PAIRS,
    GOAL,
    MANY,
    RESOLVED,
    SEEN,
    against_goal,
    variance,
)
from tests.report.conftest import FAILED, SEEDS, WHOLE


def table(root: Path) -> pd.DataFrame:
    return pd.read_csv(root / "tables" / "variance.csv").set_index(["dataset", "label"])


def test_components_are_the_mean_squares_of_the_records(finished: Path) -> None:
    """Consistency models have one solver, so that no choice is in the way: plain pivoting."""
    row = table(finished).loc[("digits", "consistency_training")]
    rows = pd.read_parquet(finished / "records.parquet")
    rows = rows[
        (rows["dataset"] == "digits")
        & (rows["label"] == "consistency_training")
        & (rows["metric"] == "fd_digits")
        & (rows["reference_set"] == "held_out")
        & (rows["nfe_requested"] == row["nfe"])
    ]
    wide = rows.pivot_table(index="train_seed", columns="noise_bank", values="value")
    x = np.log(wide[["scoring", "selection"]].to_numpy(dtype=float))
    weights = np.array([2.0, 1.0])  # 1,194 and 597 samples
    between = np.average(x, axis=1, weights=weights).var(ddof=1)
    # Two banks: the variance of their difference is s^2 (1 / 1194 + 1 / 597).
    per_sample = (x[:, 0] - x[:, 1]).var(ddof=1) / (1 / 1194 + 1 / 597)
    assert row["retraining_variance"] == pytest.approx(between - per_sample / 1791)
    assert row["resampling_sd"] == pytest.approx(math.sqrt(per_sample / 1194))
    assert row["seeds"] == len(SEEDS)
    assert row["retraining_low"] <= row["retraining_sd"] <= row["retraining_high"]


def test_the_seeds_are_the_fewest_that_see_the_ratio(finished: Path) -> None:
    for _, row in table(finished).iterrows():
        for ratio in (1.05, 1.1, 1.2):
            needed = int(row[f"seeds_for_{ratio:g}"])
            assert power(ratio, row["paired_sd"], needed) >= 0.8
            assert needed == 2 or power(ratio, row["paired_sd"], needed - 1) < 0.8
        assert power(row["smallest_ratio"], row["paired_sd"], len(SEEDS)) == pytest.approx(0.8)


def test_all_pairs_average_the_formulations(finished: Path) -> None:
    rows = table(finished).loc["digits"]
    each = rows.drop(index=[ALL_PAIRS, RESOLVED])["paired_sd"] ** 2
    assert each.min() <= rows.loc[ALL_PAIRS, "paired_sd"] ** 2 <= each.max()


def test_a_failed_formulation_is_marked_and_takes_no_part(broken: Path) -> None:
    assert set(table(broken).loc["digits"].index) == {
        *WHOLE,
        ALL_PAIRS,
    }  # of those two none has many evaluations
    text = (broken / "tables" / "variance.md").read_text()
    assert "| OT flow matching | failed |" in text
    assert FAILED not in text


def test_one_seed_has_no_components(study: Study) -> None:
    single = study.records[(study.records["train_seed"] == 0).fillna(False)]
    found = variance(Study(single, study.experiments))
    assert found.data.empty
    assert len(found.text) > 0


def test_what_the_seeds_resolve_stands_first(finished: Path, study: Study) -> None:
    """Against plain pivoting: mean squares of log ratios over pairs and evaluations."""
    built = variance(study)
    for title, rows in built.blocks():
        assert list(rows.columns[:3]) == ["formulation", "NFE", SEEN], title
        assert rows.iloc[0]["NFE"] == f"{MANY} or more"
        ratio = float(rows.iloc[0][SEEN].split(",")[0])
        side = "within" if ratio <= GOAL else "beyond"
        assert rows.iloc[0][SEEN].endswith(f", {side} the goal of {GOAL:g}")
    selected = study.selected[study.selected["dataset"] == "digits"]
    cells = study.cells[study.cells["dataset"] == "digits"].rename(columns={"nfe_requested": "nfe"})
    keys = ["label", "nfe", "train_seed", "solver", "grid", "tolerance"]
    chosen = cells.merge(selected[keys], on=keys)
    wide = chosen.assign(log=np.log(chosen["value"].astype(float))).pivot_table(
        index=["label", "nfe", "train_seed"], columns="noise_bank", values="log"
    )
    between, within = [], []
    for nfe in (8, 16, 32, 64):
        logs = {label: wide.loc[(label, nfe)] for label in study.labels(study.panels[1])
                if (label, nfe) in wide.index}  # fmt: skip
        for first, second in combinations(logs, 2):
            d = (logs[first] - logs[second])[["scoring", "selection"]].to_numpy(dtype=float)
            between.append(np.average(d, axis=1, weights=[2.0, 1.0]).var(ddof=1))
            within.append((d[:, 0] - d[:, 1]).var(ddof=1) / (1 / 1194 + 1 / 597))
    per_sample = np.mean(within)
    retraining = max(0.0, np.mean(between) - per_sample / 1791)
    expected = math.sqrt(retraining + per_sample / 1194)
    row = table(finished).loc[("digits", RESOLVED)]
    assert row["paired_sd"] == pytest.approx(expected)
    assert row["goal"] == GOAL


def test_a_ratio_just_beyond_the_goal_is_not_rounded_into_it() -> None:
    assert against_goal(1.1503) == "1.1503, beyond the goal of 1.15"
    assert against_goal(GOAL) == "1.15, within the goal of 1.15"
    assert against_goal(1.1497) == "1.1497, within the goal of 1.15"
