"""Tuning: the winner is the one of the declared rule, and the configs use it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from bench.errors import InputError
from bench.evidence import records
from bench.experiment.layout import Layout
from bench.experiment.loading import load
from bench.experiment.spec import untuned
from bench.report import learning_rates, rates
from bench.report.style import styled
from bench.stages import tune
from tests import synthetic

RATES = [5e-4, 1e-3, 2e-3, 4e-3]
EXPERIMENT = synthetic.experiment(
    formulations=dict.fromkeys(("flow_matching", "consistency_training")),
    tuning={"learning_rates": RATES, "seed": 100},
)
Rows = list[dict[str, Any]]


def factor(label: str) -> float:
    """Made-up effect of the rate: 1e-3 is best for flow matching, 4e-3 for consistency."""
    name, rate = label.split("@")
    best = {"flow_matching": 1e-3, "consistency_training": 4e-3}[name]
    return 1 + abs(math.log(float(rate) / best))


@pytest.fixture(scope="module")
def rows() -> Rows:
    """Sweep rows of the tuning seed; held-out distances would choose another rate."""
    found: Rows = []
    for dataset in EXPERIMENT.datasets:
        for label in EXPERIMENT.labels:
            for row in synthetic.sweep_rows(EXPERIMENT, dataset, label, 100):
                if row["metric"] in ("fd_digits", "w2"):
                    misleading = row["reference_set"] == "held_out" and dataset == "digits"
                    scored = row["noise_bank"] == "scoring"
                    scale = 1 / factor(label) if misleading or scored else factor(label)
                    found.append(row | {"value": row["value"] * scale})
            found.append(
                {
                    "experiment": EXPERIMENT.name,
                    "dataset": dataset,
                    "label": label,
                    "metric": "cost.training",
                    "value": 40.0,
                }
            )
    return found


@pytest.fixture(scope="module")
def scores(rows: Rows) -> pd.DataFrame:
    return learning_rates.scores(EXPERIMENT, records.frame(rows))


def test_winners_are_the_planted_ones(scores: pd.DataFrame) -> None:
    best = {"flow_matching": 1e-3, "consistency_training": 4e-3}
    assert learning_rates.winners(scores) == {"mixture2d": best, "digits": best}


def test_scores_are_geometric_means_of_the_best_solver(rows: Rows, scores: pd.DataFrame) -> None:
    lowest: dict[int, float] = {}
    for row in rows:
        if (
            row.get("noise_bank") == "selection"
            and row["dataset"] == "digits"
            and row["label"] == "flow_matching@0.002"
            and row["reference_set"] == "train"
            and row.get("tolerance") is None
        ):
            nfe = row["nfe_requested"]
            lowest[nfe] = min(lowest.get(nfe, math.inf), row["value"])
    expected = math.exp(sum(map(math.log, lowest.values())) / len(lowest))
    mine = scores.set_index(["dataset", "label", "learning_rate"])
    assert mine.loc[("digits", "flow_matching", 2e-3), "score"] == pytest.approx(expected)
    assert mine.loc[("digits", "flow_matching", 2e-3), "core_seconds"] == 40.0


def test_the_drawing_shows_every_rate_over_the_best_of_its_row(scores: pd.DataFrame) -> None:
    titles = {label: label.upper() for label in scores["label"]}
    with styled():
        figure = rates.draw(scores, titles, {"mixture2d": "ring", "digits": "digits"})
    maps = figure.axes[:2]
    assert [axes.get_title() for axes in maps] == ["ring", "digits"]
    assert [tick.get_text() for tick in maps[0].get_yticklabels()] == [
        titles[label] for label in dict.fromkeys(scores["label"])
    ]
    for axes, dataset in zip(maps, ("mixture2d", "digits"), strict=True):
        shown = sorted(float(text.get_text()) for text in axes.texts)
        rows = scores[scores["dataset"] == dataset]
        best = rows.groupby("label")["score"].transform("min")
        assert shown == sorted(round(over, 2) for over in rows["score"] / best)


def test_a_rate_with_a_missing_cell_cannot_win(rows: Rows) -> None:
    kept = [
        row
        for row in rows
        if not (row["label"] == "flow_matching@0.001" and row.get("nfe_requested") == 64)
    ]
    found = learning_rates.scores(EXPERIMENT, records.frame(kept))
    assert learning_rates.winners(found)["digits"]["flow_matching"] in (5e-4, 2e-3)


def test_a_winner_at_the_edge_is_warned_of(scores: pd.DataFrame) -> None:
    said = learning_rates.edges(scores)
    assert len(said) == 2
    assert all("consistency_training" in line and "edge" in line for line in said)


def test_files_and_the_block_to_paste(
    rows: Rows, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "tuning"
    records.write(records.frame(rows), root / "records.parquet")
    tune.run(EXPERIMENT, Layout(root))
    printed = capsys.readouterr()
    assert yaml.safe_load(printed.out)["learning_rate"] == read_winners(root)
    assert "edge of the grid" in printed.err
    text = (root / "tables" / "tuning.md").read_text()
    assert "| 0.0005 | 0.001 | 0.002 | 0.004 | winner | core-seconds |" in text
    assert text.count(" * |") == 4
    assert (root / "tables" / "tuning.tex").is_file()


def test_small_rates_stay_numbers_in_yaml() -> None:
    block = tune.yaml_block({"digits": {"a": 1e-5, "b": 2.5e-7, "c": 1e-3}})
    assert yaml.safe_load(block) == {
        "learning_rate": {"digits": {"a": 1e-5, "b": 2.5e-7, "c": 1e-3}}
    }


def test_what_cannot_be_tuned(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no tuning section"):
        tune.run(synthetic.experiment(), Layout(tmp_path))
    with pytest.raises(InputError, match="run collect first"):
        tune.run(EXPERIMENT, Layout(tmp_path))


def read_winners(folder: Path) -> dict[str, dict[str, float]]:
    """Winning rate of each data set and label, as published in ``tables/tuning.csv``."""
    return learning_rates.winners(pd.read_csv(folder / "tables" / "tuning.csv"))


TUNED = {
    "marginal": "default_tuning",
    "default": "default_tuning",
    "few_images": "tuning",
    "formulations": "formulations_tuning",
    "solvers": "tuning",
}
"""Experiments, and the published tuning that their rates come from."""


@pytest.mark.parametrize(("name", "tuning"), TUNED.items())
def test_experiments_use_the_published_winners(name: str, tuning: str) -> None:
    experiment = load(f"configs/{name}.yaml")
    published = read_winners(Path("results/reference", tuning))
    for dataset in experiment.datasets:
        for label in experiment.labels:
            assert experiment.learning_rate(dataset, label) == published[dataset][untuned(label)]


@pytest.mark.parametrize("tuning", sorted(set(TUNED.values())))
def test_published_winners_follow_from_the_published_records(tuning: str) -> None:
    folder = Path("results/reference", tuning)
    experiment = load(folder / "config.yaml")
    found = learning_rates.scores(experiment, records.read(folder / "records.parquet"))
    assert learning_rates.winners(found) == read_winners(folder)
