"""Sentences of the report: they say what the tests say, and no more."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.evidence import records
from bench.experiment.layout import Layout
from bench.report.findings import findings
from bench.report.findings.leaders import in_front, leader
from bench.report.study import Panel, Study
from bench.report.tables.pairs import pairs
from bench.stages import collect
from tests import synthetic

MADE = ("flow_matching", "vp_diffusion", "ot_flow_matching")
NFE = (1, 2, 4, 8)


def study_of(values: dict[str, list[float]], draws: list[float] | None = None) -> Study:
    """A study of one data set in which every label scores the same at every NFE.

    Args:
        values: of the primary metric, by label and seed.
        draws: of the floor.
    """
    seeds = list(range(len(next(iter(values.values())))))
    experiment = synthetic.experiment(
        datasets={"mixture2d": None},
        budget={"amount": {"mixture2d": 1e12}},
        formulations=dict.fromkeys(values),
        seeds=seeds,
        sweep={"solvers": ["euler"], "nfe": list(NFE), "few_step_nfe": [1, 2]},
    )
    base = {"experiment": experiment.name, "dataset": "mixture2d", "metric": "w2", "status": "ok",
            "reference_set": "held_out"}  # fmt: skip
    rows = [
        base
        | {"label": label, "train_seed": seed, "solver": "euler", "grid": "uniform_t", "nfe": nfe,
           "nfe_requested": nfe, "noise_bank": bank, "n_samples": 1000, "value": value}
        for label, by_seed in values.items()
        for seed, value in enumerate(by_seed)
        for nfe in NFE
        for bank in ("scoring", "selection")
    ]  # fmt: skip
    floor = base | {"label": "floor.train"}
    rows += [floor | {"value": v, "replicate": i} for i, v in enumerate(draws or [])]
    return Study(records.frame(rows), [experiment])


def said(values: dict[str, list[float]], draws: list[float] | None = None) -> str:
    study = study_of(values, draws)
    return leader(study, study.panels[0], 8)


APART = {"flow_matching": [1.0, 1.01, 0.99, 1.0, 1.02], "vp_diffusion": [2.0, 2.05, 1.96, 2.0, 2.1]}
CLOSE = {"flow_matching": [1.0, 1.2, 0.8, 1.1, 0.9], "vp_diffusion": [1.1, 1.0, 1.0, 0.9, 1.1]}


def test_a_leader_that_the_pairs_tell_apart_is_said_to_be_apart() -> None:
    text = said(APART)
    assert text.startswith("At 8 evaluations Flow matching has the lowest 2-Wasserstein distance, ")
    assert "; told apart from VP diffusion (ratio 0.49" in text


def test_a_leader_that_is_not_told_apart_is_said_with_its_ratio() -> None:
    text = said(CLOSE)
    ratio = math.exp(np.mean(np.log(CLOSE["flow_matching"]) - np.log(CLOSE["vp_diffusion"])))
    assert f"not told apart from VP diffusion (ratio {ratio:.2f} [" in text
    study = study_of(CLOSE)
    assert in_front(study, study.panels[0], 8) == (
        ["flow_matching", "vp_diffusion"],
        "not told apart",
    )


def test_an_interval_that_excludes_one_is_not_enough_among_many_pairs() -> None:
    """Three labels: p just below 5% for one pair is above it after Holm's adjustment."""
    logs = np.array([0.04, 0.1, 0.13, 0.06, 0.03])
    values = {
        "flow_matching": [1.0] * 5,
        "vp_diffusion": np.exp(logs).tolist(),
        "ot_flow_matching": np.exp(logs[::-1] + np.array([0.01, -0.01, 0.02, 0, 0])).tolist(),
    }
    data = pairs(study_of(values)).data
    row = data[(data["nfe"] == 8) & (data["over"] == "vp_diffusion")].iloc[0]
    assert row["high"] < 1 and row["p"] <= 0.05 and not row["apart"]
    assert "not told apart from" in said(values)
    assert "; told apart from" not in said(values)


def test_a_single_seed_is_no_test() -> None:
    assert said({"flow_matching": [1.0], "vp_diffusion": [9.0]}).endswith(
        "; next is VP diffusion (ratio 0.111): too few seeds for a test."
    )


def test_what_is_at_the_floor_ranks_equal() -> None:
    draws = np.exp(0.05 * np.random.default_rng(0).standard_normal(60)).tolist()
    values = {
        "flow_matching": draws[:5],
        "ot_flow_matching": draws[5:10],
        "vp_diffusion": [3.0, 3.1, 3.2, 3.0, 3.1],
    }
    text = said(values, draws[10:])
    assert "are at the floor: not told from real samples and rank equal" in text
    assert "the lowest of the others is VP diffusion with 3.08 [" in text
    assert "has the lowest" not in text
    single = study_of(values, draws[:1])
    assert "The floor was drawn once, so that no cell can be told to be at it." in findings(
        single, single.panels[0]
    )


# --- copies and the ladder of budgets -------------------------------------------------------------


@pytest.fixture(scope="module")
def laddered(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Two labels at three budgets: distances fall, and the samples of one move to the data."""
    experiment = synthetic.experiment(
        datasets={"digits": None},
        formulations=dict.fromkeys(["flow_matching", "vp_diffusion"]),
        budget={"amount": {"digits": 4e12}, "ladder": [0.25, 1]},
        seeds=list(range(6)),
    )
    root = tmp_path_factory.mktemp("ladder")
    synthetic.write_run(experiment, root)
    collect.run(experiment, Layout(root))
    table = pd.read_parquet(root / "records.parquet")
    whole = table["label"].str.endswith("@x1").fillna(False)
    copies = table["label"].eq("flow_matching@x1").fillna(False)
    distance = table["metric"].eq("fd_digits") & whole
    nearness = table["metric"].eq("memorisation") & copies
    luck = 1 + 0.01 * table["train_seed"].fillna(0).astype(float)  # of each seed
    value = table["value"].where(~distance, table["value"] * luck / 2)
    value = value.where(~nearness, value + 0.2)
    held_out = {"experiment": experiment.name, "dataset": "digits", "label": "floor.held_out",
                "metric": "memorisation", "status": "ok"}  # fmt: skip
    floors = [held_out | {"value": 0.5 + 0.01 * i, "replicate": i} for i in range(3)]
    frame = records.frame(floors)
    return Study(
        pd.concat([records.read(root / "records.parquet").assign(value=value), frame]),
        [experiment],
    )


def of_ladder(study: Study, panel: Panel, title: str) -> str:
    return next(s for s in findings(study, panel) if s.startswith(f"{title} at 64 evaluations and"))


def test_a_ladder_says_what_copying_does(laddered: Study) -> None:
    (panel,) = laddered.panels
    text = of_ladder(laddered, panel, "Flow matching")
    assert "0.25, 1 times the budget" in text
    assert "(last over first 0.5" in text or "(last over first 0.4" in text
    assert "(last less first 0.2" in text or "(last less first 0.1" in text
    assert text.endswith("The distance falls while samples move to the training data.")


def test_a_ladder_without_copying_does_not_say_so(laddered: Study) -> None:
    (panel,) = laddered.panels
    text = of_ladder(laddered, panel, "VP diffusion")
    assert "(last over first 0." in text
    assert "samples move to the training data" not in text


def test_held_out_samples_stand_beside_memorisation(laddered: Study) -> None:
    told = findings(laddered, laddered.panels[0])
    assert any(s.startswith("Real held-out samples: ") and "0.51" in s for s in told)
    marked = next(s for s in told if s.startswith("Nearer to training data than held-out"))
    assert "Flow matching, 1x budget at" in marked


def test_every_sentence_ends_and_names_no_missing_number(finished: Path) -> None:
    study = Study.read(finished)
    for panel in study.panels:
        for sentence in findings(study, panel):
            assert sentence.endswith("."), sentence
            assert "nan" not in sentence.lower().split(), sentence
