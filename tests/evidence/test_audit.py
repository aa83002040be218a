"""The audit of evaluations: each way in which a cell may disagree with what it was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.errors import RunError
from bench.evidence import records
from bench.evidence.audit import by_tolerance, fixed_cost, wrong_evaluations
from bench.experiment.layout import Layout
from bench.stages import gate
from tests.stages.test_gate import experiment, finish, rows, table


def cell(**columns: Any) -> dict[str, Any]:
    known = {"dataset": "digits", "label": "flow_matching", "train_seed": 0, "solver": "heun2",
             "grid": "uniform_t", "noise_bank": "scoring", "metric": "w2", "value": 1.0,
             "nfe_requested": 4, "nfe": 4, "nfe_min": 4, "nfe_max": 4}  # fmt: skip
    return known | columns


def audited(*cells: dict[str, Any]) -> pd.DataFrame:
    return records.frame(cells)


NOT_COUNTED = {"nfe": None, "nfe_min": None, "nfe_max": None}
REFUSED = NOT_COUNTED | {"metric": "refused", "value": None, "status": "refused", "error": "no"}


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"guidance": 2.0, "nfe_requested": 8, "nfe": 8, "nfe_min": 8, "nfe_max": 8},
        REFUSED | {"nfe_requested": 5},
        REFUSED | {"solver": "ancestral", "coupling": "minibatch_ot"},
        NOT_COUNTED | {"status": "failed", "error": "ValueError"},
        {"metric": "convergence_rmse", "nfe_requested": 5, **NOT_COUNTED},
        {"solver": "reference", "nfe": 400},
    ],
)
def test_what_agrees_is_not_told(columns: dict[str, Any]) -> None:
    assert wrong_evaluations(audited(cell(**columns))) == []


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"nfe": 5}, "spent 4, 5 evaluations"),
        ({"nfe_max": 6}, "spent 4, 6 evaluations"),
        (NOT_COUNTED, "spent unknown evaluations"),
        ({"nfe_requested": 5, "nfe": 5, "nfe_min": 5, "nfe_max": 5}, "cannot be hit"),
        ({"guidance": 2.0, "nfe_requested": 6, "nfe": 6, "nfe_min": 6, "nfe_max": 6}, "cannot be"),
        (REFUSED, "can be hit, and is refused"),
        ({"solver": "ancestral", "coupling": "paired"}, "reads a score that there is not"),
    ],
)
def test_what_does_not_agree_is(columns: dict[str, Any], said: str) -> None:
    lines = wrong_evaluations(audited(cell(**columns), cell(train_seed=1)))
    assert len(lines) == 1
    assert "train_seed=0" in lines[0]
    assert said in lines[0]


def test_intervals_and_counts_stand_side_by_side() -> None:
    one = fixed_cost(audited(cell(), cell(metric="mmd", nfe_max=5))).iloc[0]
    assert one[["nfe_requested", "intervals", "declared", "least", "most"]].tolist() == [
        *(4, 2, 4, 4, 5)
    ]


def test_batches_of_an_adaptive_solver_are_pooled_and_likelihoods_left_out() -> None:
    adaptive = {"solver": "dopri5", "grid": "adaptive", "nfe_requested": None, "tolerance": 1e-3}
    found = by_tolerance(
        audited(
            cell(**adaptive, nfe=32, nfe_min=26, nfe_max=38),
            cell(**adaptive, metric="nll", nfe=500, nfe_min=500, nfe_max=500),
        )
    )
    assert found[["mean", "least", "most"]].iloc[0].tolist() == [32, 26, 38]


def test_the_gate_does_not_let_a_miscount_pass(tmp_path: Path) -> None:
    one, layout = experiment(), Layout(tmp_path)
    columns = {"solver": "euler", "nfe_requested": 4, "nfe": 5}
    finish(one, layout, table(*rows("flow_matching", [0.5], **columns)))
    with pytest.raises(RunError, match="solver=euler nfe_requested=4: spent 5 evaluations"):
        gate.run(one, layout)
