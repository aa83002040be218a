"""Defect: a cell that is judged while the score of the one before it is still on its way."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import Tensor

from bench.experiment.layout import Layout
from bench.stages.running.model_sweep import Sweep
from tests.stages import test_sweep as contract

trained = contract.trained


def test_a_cell_judged_too_early_is_seen(
    trained: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Sweep._hopeless

    def planted(self: Sweep, bank: str, block: Tensor, factor: float) -> str | None:
        self.settle = lambda: None
        return honest(self, bank, block, factor)

    monkeypatch.setattr(Sweep, "_hopeless", planted)
    with pytest.raises(AssertionError):
        contract.test_scores_beside_the_samples_change_no_row_but_how_fast_they_come(
            trained, tmp_path
        )
