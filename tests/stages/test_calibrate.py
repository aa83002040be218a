"""Budgets in device seconds: measured once, then fixed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.data.dataset import DataSet
from bench.data.files import save
from bench.experiment.layout import LEDGER, OUTCOME, Layout
from bench.files import read_json, write_json
from bench.stages import calibrate
from bench.stages.running.outcome import read_outcome
from tests.contracts.test_formulations import experiment, run_all_stages

SECONDS = 2.0


@pytest.mark.parametrize("name", ["rectified_flow", "consistency_distillation"])
def test_a_budget_in_seconds_is_spent_as_calibrated(
    name: str, small_data: DataSet, tmp_path: Path
) -> None:
    chosen = experiment(name, unit="device_seconds", amount={"mixture2d": SECONDS})
    layout = Layout(tmp_path)
    save(small_data, layout.data("mixture2d"))
    write_json(layout.data("mixture2d") / OUTCOME, {"status": "ok", "error": None})
    calibrate.run(chosen, layout, dataset="mixture2d", label=name)
    outcome = read_outcome(layout.calibration("mixture2d", name))
    assert outcome is not None
    assert outcome["status"] == "ok", outcome["error"]
    figures = outcome["seconds_per_step"]
    assert set(figures) == {stage.name for stage in chosen.formulation(name).stages}
    assert all(0 < value < 1 for steps in figures.values() for value in steps.values())
    run_all_stages(chosen, layout, small_data)
    spent = 0.0
    for stage in chosen.formulation(name).stages:
        ledger = read_json(layout.stage("mixture2d", name, 0, stage.name) / LEDGER)
        charges = ledger["charges"].values()
        assert ledger["spent"] == pytest.approx(sum(c["planned_seconds"] for c in charges))
        if stage.kind == "train":
            per_update = figures[stage.name]["update"]
            steps = ledger["charges"]["train"]["updates"] + 1  # the probe is charged too
            assert ledger["spent"] == pytest.approx(steps * per_update)
        spent += ledger["spent"]
    assert 0.98 * SECONDS <= spent <= SECONDS


def test_training_waits_for_the_calibration(small_data: DataSet, tmp_path: Path) -> None:
    chosen = experiment("flow_matching", unit="device_seconds", amount={"mixture2d": SECONDS})
    run_all_stages(chosen, Layout(tmp_path), small_data)
    outcome = read_outcome(Layout(tmp_path).stage("mixture2d", "flow_matching", 0, "train"))
    assert outcome is not None
    assert "calibration has not run" in outcome["error"]
