"""Collecting: every fact of the files becomes a row, once, and nothing is invented."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from bench.evidence import records
from bench.experiment.graph import nodes, verbs
from bench.experiment.layout import LEDGER, OUTCOME, Layout
from bench.files import read_json, write_json
from bench.stages import collect
from tests import synthetic

EXPERIMENT = synthetic.experiment(
    seeds=[0, 1],
    sweep={"nfe": [1, 2, 4], "tolerances": [1e-3]},
    formulations=dict.fromkeys(("flow_matching", "rectified_flow", "consistency_training")),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = synthetic.write_run(EXPERIMENT, tmp_path_factory.mktemp("results") / "synthetic")
    collect.run(EXPERIMENT, Layout(root))
    return root


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "synthetic"))


def test_both_files_hold_the_same_rows(run: Path) -> None:
    table = records.read(run / "records.parquet")
    assert list(table.columns) == list(records.COLUMNS)
    assert not table.duplicated(list(records.UNIQUE_KEY)).any()
    text = pd.read_csv(run / "records.csv", low_memory=False)
    assert len(text) == len(table)
    assert text["value"].sum() == pytest.approx(table["value"].sum())


def test_measured_rows_are_taken_over_unchanged(run: Path) -> None:
    table = records.read(run / "records.parquet")
    layout = Layout(run)
    source = records.read(layout.sweep("digits", "flow_matching", 1) / "sweep.parquet")
    mine = table[(table["label"] == "flow_matching") & (table["dataset"] == "digits")]
    mine = mine[(mine["train_seed"] == 1) & mine["solver"].notna()]
    keys = list(records.UNIQUE_KEY)
    merged = source.merge(mine, on=keys, how="left", validate="1:1")
    pd.testing.assert_series_equal(merged["value_x"], merged["value_y"], check_names=False)


def test_ledgers_become_budget_rows(run: Path) -> None:
    table = records.read(run / "records.parquet")
    path = Layout(run).stage("digits", "rectified_flow", 0, "pairs_2") / LEDGER
    ledger = read_json(path)
    mine = table[
        (table["dataset"] == "digits")
        & (table["label"] == "rectified_flow")
        & (table["stage"] == "pairs_2")
        & (table["train_seed"] == 0)
    ].set_index("metric")
    for charge, kinds in ledger["charges"].items():
        for kind, value in kinds.items():
            assert mine.loc[f"budget.{charge}.{kind}", "value"] == value
    assert mine.loc["budget.planned", "value"] == ledger["planned"]
    assert mine.loc["budget.spent", "spent_upstream"] == ledger["spent_upstream"] > 0
    assert mine.loc["budget.spent", "budget_total"] == 4e12
    assert set(mine["budget_unit"]) == {"flops"}


def test_core_seconds_of_all_outcomes_are_kept(run: Path) -> None:
    table = records.read(run / "records.parquet")
    outcomes = [json.loads(path.read_text()) for path in run.rglob(OUTCOME)]
    total = sum(sum(outcome["seconds"].values()) for outcome in outcomes)
    cost = table[table["metric"].str.startswith("cost.")]
    assert cost["value"].sum() == pytest.approx(total)


def test_seconds_a_sample_are_joined_to_the_cells_they_were_measured_for(run: Path) -> None:
    table = records.read(run / "records.parquet")
    timing = records.read(Layout(run).timing("digits") / "timing.parquet")
    swept = table[table["noise_bank"].isin(["scoring", "selection"]) & table["train_seed"].notna()]
    for row in timing.itertuples():
        same = (
            (swept["dataset"] == "digits")
            & (swept["label"] == row.label)
            & (swept["solver"] == row.solver)
            & (swept["grid"] == row.grid)
        )
        same &= (
            swept["tolerance"] == row.tolerance
            if not pd.isna(row.tolerance)
            else swept["nfe_requested"] == row.nfe_requested
        )
        cells = swept[same.fillna(False)]
        assert len(cells) > 0
        assert set(cells["seconds_per_sample"]) == {row.value}
    floors = table[table["label"].str.startswith("floor.").fillna(False)]
    assert floors["seconds_per_sample"].isna().all()


def test_parameters_are_counted_in_the_checkpoint(run: Path) -> None:
    table = records.read(run / "records.parquet")
    assert set(table[table["metric"] == "parameters"]["value"]) == {4200.0}


def test_a_failure_is_one_row_with_the_first_error_of_its_chain(copy: Path) -> None:
    layout = Layout(copy)
    model = ("digits", "rectified_flow", 1)
    for stage, error in (
        ("pairs_2", f"OSError: disk full in {copy}/runs"),
        ("flow_2", "upstream pairs_2 failed: OSError: disk full"),
    ):
        outcome = {"status": "failed", "error": error, "seconds": {"import": 0.5}}
        write_json(layout.stage(*model, stage) / OUTCOME, outcome)
    write_json(
        layout.sweep(*model) / OUTCOME,
        {"status": "failed", "error": "upstream pairs_2 failed", "seconds": {}},
    )
    table = collect.run(EXPERIMENT, layout)
    failed = table[table["status"] == "failed"]
    assert failed["stage"].tolist() == ["pairs_2"]
    assert failed["error"].tolist() == ["OSError: disk full in synthetic/runs"]
    mine = table[(table["label"] == "rectified_flow") & (table["dataset"] == "digits")]
    assert not ((mine["train_seed"] == 1) & mine["solver"].notna()
                & (mine["metric"] != "seconds_per_sample")).any()  # fmt: skip
    assert ((mine["train_seed"] == 0) & (mine["metric"] == "fd_digits")).any()


def test_what_has_not_run_is_a_failure_that_says_so(copy: Path) -> None:
    (Layout(copy).floor("digits") / OUTCOME).unlink()
    table = collect.run(EXPERIMENT, Layout(copy))
    failed = table[table["status"] == "failed"]
    assert failed["stage"].tolist() == ["floor"]
    assert "has not run" in failed["error"].iloc[0]
    assert not table["label"].isin(["floor.train"])[table["dataset"] == "digits"].any()


def test_the_manifest_says_where_results_come_from(run: Path) -> None:
    found = read_json(run / "manifest.json")
    assert found["config"] == EXPERIMENT.resolved()
    assert found["config_digest"] == EXPERIMENT.digest
    assert found["extractors"]["digits"]["accuracy"] == 0.981
    assert "mixture2d" not in found["extractors"]
    assert set(found["data"]) == {"digits", "mixture2d"}
    assert found["packages"]["torch"]
    assert found["hardware"]["cores_usable"] >= 1
    assert len(found["code"]["train"]) == 16
    assert set(found["code"]) == {*verbs(EXPERIMENT), "collect", "report"}
    assert {"pairs", "oracle"} < set(found["code"])


def test_the_manifest_names_the_code_that_made_each_stage(copy: Path) -> None:
    layout = Layout(copy)
    places = [node.folder(layout) for node in nodes(EXPERIMENT)]
    ours = {"version": "1.0", "commit": "abc", "dirty": False}
    for folder in places:
        write_json(folder / OUTCOME, read_json(folder / OUTCOME) | {"made_by": ours})
    collect.run(EXPERIMENT, layout)
    assert read_json(copy / "manifest.json")["made_by"] == [ours | {"stages": "all"}]
    theirs, silent = layout.floor("digits"), layout.timing("digits")
    write_json(theirs / OUTCOME, read_json(theirs / OUTCOME) | {"made_by": ours | {"dirty": True}})
    outcome = read_json(silent / OUTCOME)
    del outcome["made_by"]
    write_json(silent / OUTCOME, outcome)
    collect.run(EXPERIMENT, layout)
    found = {
        (made["version"], made.get("dirty")): made["stages"]
        for made in read_json(copy / "manifest.json")["made_by"]
    }
    assert found[("1.0", True)] == ["floor/digits"]
    assert found[(None, None)] == ["timing/digits"]
    assert len(found[("1.0", False)]) == len(places) - 2
