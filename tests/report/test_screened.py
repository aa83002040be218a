"""The report of a run whose samplers were screened, and adaptive solvers among its samplers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.experiment.cells import UNIFIED
from bench.experiment.layout import Layout
from bench.report.costs import evaluations_of_screen
from bench.report.numbers import power
from bench.report.study import Study
from bench.report.tables.adaptive import adaptive
from bench.report.tables.cost import cost
from bench.stages import collect
from tests import synthetic

LABELS = ("flow_matching", "rectified_flow")


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Study]:
    """The same models, with everything scored and with the best of the screens alone."""
    found = {}
    for name, screen in (("whole", None), ("screened", {"best": 1})):
        experiment = synthetic.experiment(
            datasets={"mixture2d": {"network": {"width": 64}}},
            budget={"amount": {"mixture2d": 2e11}},
            formulations=dict.fromkeys(LABELS),
            seeds=[0, 1, 2],
            sweep={"screen": screen},
        )
        root = tmp_path_factory.mktemp(name)
        synthetic.write_run(experiment, root)
        collect.run(experiment, Layout(root))
        found[name] = Study.read(root)
    return found


def test_a_screened_run_selects_what_a_whole_one_selects(studies: dict[str, Study]) -> None:
    whole, screened = studies["whole"], studies["screened"]
    pd.testing.assert_frame_equal(whole.selected, screened.selected)
    assert screened.selected["value"].notna().all()
    pd.testing.assert_frame_equal(whole.common, screened.common)
    assert len(screened.records) < 0.8 * len(whole.records)


def test_the_samplers_name_the_tolerance(studies: dict[str, Study]) -> None:
    study = studies["screened"]
    (panel,) = study.panels
    names = {
        name
        for label in LABELS
        for nfe in study.nfe(panel)
        for name in study.samplers(panel, label, nfe)
    }
    assert any(name.startswith("dopri5(1e-") for name in names)
    rows = study.at_selected(panel)
    chosen = study.selected
    primary = rows[rows["metric"] == panel.primary]
    assert len(primary) == len(chosen)
    assert primary["value"].astype(float).tolist() == chosen["value"].tolist()


def test_a_tolerance_is_printed_as_a_power_of_ten() -> None:
    assert [power(x) for x in (1e-2, 1e-4, 2.5e-3, 1.0)] == ["1e-2", "1e-4", "2.5e-3", "1e0"]


def test_the_table_of_tolerances_says_where_each_competes(studies: dict[str, Study]) -> None:
    for study in studies.values():
        (panel,) = study.panels
        data = adaptive(study).data
        swept = study.experiment(panel).sweep.nfe
        assert len(data) == len(LABELS) * 3
        for row in data.to_dict("records"):
            first = [count for count in swept if count >= row["nfe_max"]][:1]
            assert [row["competes_at"]] == first or (math.isnan(row["competes_at"]) and not first)
        assert 0 < data["competes_at"].isna().sum() < len(data)


def test_the_costs_say_what_screening_saved(studies: dict[str, Study]) -> None:
    screened, whole = studies["screened"], studies["whole"]
    (panel,) = screened.panels
    found = evaluations_of_screen(screened, panel)
    assert found is not None
    every = [
        sum(row["nfe"] * row["n_samples"] for row in _cells(study, bank))
        for study in (screened, whole)
        for bank in ("selection", "scoring")
    ]
    screening, scoring, selection_of_whole, scoring_of_whole = every
    assert screening == selection_of_whole
    assert found == pytest.approx((screening, scoring, scoring_of_whole))
    assert scoring < scoring_of_whole
    assert "scoring every one would have taken" in cost(screened).caption
    assert evaluations_of_screen(whole, whole.panels[0]) is None
    assert "scoring every one" not in cost(whole).caption


def _cells(study: Study, bank: str) -> list[dict[str, Any]]:
    """The cells of models on their own path, adaptive ones included, a row each."""
    rows = study.records
    rows = rows[(rows["metric"] == "w2") & (rows["noise_bank"] == bank)]
    rows = rows[rows["train_seed"].notna() & (rows["grid"] != UNIFIED)]
    return rows.to_dict("records")


def test_a_failed_label_fails_once_a_seed(tmp_path: Path) -> None:
    """A screen that fell with its training adds no failure of its own."""
    experiment = synthetic.experiment(
        datasets={"mixture2d": {"network": {"width": 64}}},
        budget={"amount": {"mixture2d": 2e11}},
        formulations=dict.fromkeys(LABELS),
        seeds=[0, 1],
        sweep={"screen": {}},
    )
    synthetic.write_run(experiment, tmp_path, failed=(LABELS[0],))
    collect.run(experiment, Layout(tmp_path))
    table = Study.read(tmp_path).records
    failed = table[(table["status"] == "failed") & (table["label"] == LABELS[0])]
    assert sorted(failed["train_seed"]) == [0, 1]
