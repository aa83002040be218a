"""The unified view and the split of the error, recomputed from the records by other means."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.report.figures.error_split import error_split as draw
from bench.report.study import Study
from bench.report.tables.error_split import error_split
from bench.report.tables.unified_view import unified_view
from tests import synthetic
from tests.report.conftest import SEEDS
from tests.report.test_tables import csv, parquet

PATHS = ["linear", "vp", "cosine", "trigonometric", "edm"]


def test_the_view_holds_every_model_of_a_flow_on_every_path(finished: Path) -> None:
    table, records = csv(finished, "unified_view"), parquet(finished)
    flows = {"vp_diffusion", "flow_matching", "ot_flow_matching", "rectified_flow"}
    assert set(table["label"]) == flows | {"exact"}
    assert set(table[table["label"] == "exact"]["dataset"]) == {"mixture2d"}
    cell = {"dataset": "mixture2d", "label": "flow_matching", "sampled_path": "vp", "nfe": 16}
    row = table[(table[list(cell)] == pd.Series(cell)).all(axis=1) & (table["metric"] == "w2")]
    values = records[
        (records["grid"] == "unified")
        & (records["dataset"] == "mixture2d")
        & (records["label"] == "flow_matching")
        & (records["sampled_path"] == "vp")
        & (records["nfe_requested"] == 16)
        & (records["metric"] == "w2")
    ]["value"]
    assert len(values) == len(SEEDS) == row["seeds"].item()
    assert row["estimate"].item() == pytest.approx(math.exp(np.log(values).mean()), rel=1e-12)
    assert row["trained_path"].item() == "linear"


def test_the_view_is_read_along_its_rows(study: Study) -> None:
    table = unified_view(study)
    assert [name for name in table.text.columns if name in PATHS] == PATHS
    for _, rows in table.blocks():
        assert rows["trained on"].tolist()[:4] == ["vp", "linear", "linear", "linear"]
    last = table.text[table.text["formulation"] == "exact field"]
    assert last["trained on"].tolist() == ["—", "—"]
    assert all("RMSE" in cell for cell in table.text["edm"])
    assert "log_snr [-8.764, 9.115]" in table.caption
    # The first path has the lowest made-up RMSE: three labels of four were trained on it.
    assert "In 12 of 16 rows no sampled path has a lower RMSE" in table.caption


def test_the_view_takes_no_part_in_the_selection(study: Study, finished: Path) -> None:
    """Its made-up values are a hundred times lower than any other cell."""
    assert "unified" not in set(study.selected["grid"])
    assert "unified" not in set(study.common["grid"])
    summary = csv(finished, "summary")
    assert (summary[summary["dataset"] == "mixture2d"]["estimate"] > 0.05).all()
    quality = csv(finished, "quality")
    assert not quality.duplicated(["dataset", "label", "nfe", "metric", "reference_set"]).any()


def test_the_split_has_field_solver_and_total_of_independent_couplings(finished: Path) -> None:
    table = csv(finished, "error_split")
    assert set(table["dataset"]) == {"mixture2d"}
    assert set(table["label"]) == {"vp_diffusion", "flow_matching", "exact.vp", "exact.linear"}
    field = table[table["metric"] == "field_error.data"]
    assert sorted(set(field["log_snr"])) == list(range(-8, 9))
    mine = table[(table["label"] == "flow_matching") & (table["solver"] == "euler")]
    at = mine[mine["nfe"] == 4].set_index("metric")["estimate"]
    assert at["total_rmse"] == pytest.approx(0.1 + 1.9 / 8)
    assert at["endpoint_rmse"] == pytest.approx(2.0 / 8)
    exact = table[(table["label"] == "exact.linear") & (table["solver"] == "euler")]
    assert exact.set_index(["nfe", "metric"])["estimate"][(4, "endpoint_rmse")] == 1.5 / 8


def test_the_split_is_printed_for_two_solvers(study: Study) -> None:
    text = error_split(study).text
    assert set(text["solver"]) == {"euler", "dpmpp_2m"}
    row = text[(text["formulation"] == "Flow matching") & (text["NFE"] == "16")].iloc[0]
    assert row["solver, exact field"] == "0.0234"
    assert row["total"].startswith("0.130")


def test_an_experiment_without_exact_data_has_neither(tmp_path: Path) -> None:
    one = synthetic.experiment(
        seeds=[0], datasets={"digits": None}, budget={"amount": {"digits": 4e12}}, unified_view=None
    )
    study = Study(synthetic.records.frame(synthetic.sweep_rows(one, "digits", "flow_matching", 0)),
                  [one])  # fmt: skip
    assert unified_view(study).text.empty
    assert error_split(study).text.empty
    assert "no data set" in str(draw(study)).lower()
