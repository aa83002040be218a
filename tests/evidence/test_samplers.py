"""One meaning of the selected sampler and of the common solver, for tables and claims alike."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from bench.evidence import records
from bench.evidence.claims.asked import Evidence
from bench.evidence.samplers import COMMON_SOLVER
from bench.report import study as studies
from bench.report.study import Study
from tests import synthetic

GRIDS = {"edm": "karras", "flow_matching": "uniform_t"}
"""What each formulation runs fixed solvers on where none is asked for."""


@pytest.fixture(scope="module")
def study() -> Study:
    """Both formulations, each swept on both grids, of which the other one is the better."""
    experiment = synthetic.experiment(formulations=dict.fromkeys(GRIDS), seeds=[0, 1])
    rows = [
        {
            "experiment": experiment.name, "dataset": "mixture2d", "label": label,
            "accounting": "all_in", "sampler": "ode", "train_seed": seed, "noise_bank": bank,
            "solver": COMMON_SOLVER, "grid": grid, "nfe": 4.0, "nfe_requested": 4,
            "metric": "w2", "reference_set": "held_out", "status": "ok",
            "value": 1.0 if grid == own else 0.5,
        }
        for label, own in GRIDS.items()
        for seed in experiment.seeds
        for bank in ("scoring", "selection")
        for grid in sorted(GRIDS.values())
    ]  # fmt: skip
    return Study(records.frame(rows), [experiment])


@pytest.fixture
def evidence(study: Study, monkeypatch: pytest.MonkeyPatch) -> Evidence:
    """The records as the claims of the study's page are asked of them."""
    asked: dict[str, Any] = {}
    monkeypatch.setattr(studies, "judge", lambda rows, **given: asked.update(given) or [])
    assert Study(study.records, study.experiments).verdicts == []
    panel = next(panel for panel in study.panels if panel.dataset == "mixture2d")
    return Evidence(study.records, panel.experiment, panel.dataset, "w2", asked["own_grid"])


def test_the_common_solver_runs_on_the_grid_that_each_formulation_names(
    study: Study, evidence: Evidence
) -> None:
    for cells in (study.common, evidence.common):
        named = cells.groupby("label")["grid"].unique().map(list).to_dict()
        assert named == {label: [grid] for label, grid in GRIDS.items()}


def test_claims_and_tables_read_the_same_cells(study: Study, evidence: Evidence) -> None:
    pd.testing.assert_frame_equal(study.common, evidence.common)
    selected = study.selected.dropna(subset="value")
    pd.testing.assert_frame_equal(selected, evidence.selected)
    assert all(row.grid != GRIDS[row.label] for row in selected.itertuples())
