"""Defects: a teacher that nobody pays for, and an evaluation that was not planned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from bench.data.dataset import DataSet
from bench.experiment.layout import LEDGER, Layout
from bench.files import read_json, write_json
from bench.models.path_model import PathModel
from bench.stages.running.outcome import read_outcome
from bench.streams import Draws
from bench.training.couplings import Pair
from bench.training.objectives.regression import Regression
from tests.contracts import test_formulations as contract


@pytest.mark.parametrize(("name", "stage"), [("consistency_distillation", "teacher")])
def test_an_uncharged_teacher_is_seen(
    name: str, stage: str, small_data: DataSet, tmp_path: Path
) -> None:
    chosen, layout = contract.experiment(name), Layout(tmp_path)
    contract.run_all_stages(chosen, layout, small_data)
    contract.check_budget(chosen, layout, small_data)
    path = layout.stage(small_data.name, name, 0, stage) / LEDGER
    ledger: dict[str, Any] = read_json(path)
    write_json(path, {**ledger, "charges": {}})
    with pytest.raises(AssertionError):
        contract.check_budget(chosen, layout, small_data)


def test_an_unplanned_forward_fails_the_stage(
    small_data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Regression.__call__
    calls = 0

    def planted(
        self: Regression, model: PathModel, pair: Pair, draws: Draws, progress: float
    ) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == 20:
            honest(self, model, pair, draws, progress)
        return honest(self, model, pair, draws, progress)

    monkeypatch.setattr(Regression, "__call__", planted)
    chosen, layout = contract.experiment("flow_matching"), Layout(tmp_path)
    contract.run_all_stages(chosen, layout, small_data)
    outcome = read_outcome(layout.stage(small_data.name, "flow_matching", 0, "train"))
    assert outcome is not None
    assert outcome["status"] == "failed"
    assert "unplanned evaluation" in outcome["error"]
