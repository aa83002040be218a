"""The stage ``oracle``: the exact field through the cells of a small experiment."""

from __future__ import annotations

from typing import Any

import pytest

from bench.evidence import records
from bench.experiment.layout import Layout
from bench.experiment.loading import from_mapping
from bench.experiment.spec import Experiment
from bench.stages import oracle, prepare
from bench.stages.running.outcome import read_outcome

COUNT = 200


def experiment(nfe: list[int]) -> Experiment:
    mapping: dict[str, Any] = {
        "name": "oracle-test",
        "datasets": {"mixture2d": {"options": {"train": 600, "held_out": 600}}},
        "formulations": {"flow_matching": {}, "vp_diffusion": {}},
        "seeds": [0, 1],
        "budget": {"amount": {"mixture2d": 1e9}},
        "sweep": {
            "solvers": ["euler", "heun2", "dpmpp_2m", "dopri5"],
            "nfe": nfe,
            "tolerances": [1.0e-3],
            "samples": {"scoring": COUNT, "selection": COUNT},
            "block": COUNT,
            "batch_size": COUNT,
            "reference_samples": 50,
        },
        "unified_view": {"paths": ["linear", "vp", "edm"], "nfe": [4]},
        "metrics": {"kid_subset_size": 50},
    }
    return from_mapping(mapping, "test")


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    layout, one = Layout(tmp_path_factory.mktemp("results")), experiment([1, 16])
    prepare.run(one, layout, dataset="mixture2d")
    assert oracle.run(one, layout, dataset="mixture2d")["status"] == "ok"
    return layout


def test_rows_are_of_the_exact_field_on_each_path(layout: Layout) -> None:
    table = records.read(layout.oracle("mixture2d") / oracle.TABLE)
    assert set(table["label"]) == {"exact.linear", "exact.vp", "exact"}
    assert table["train_seed"].isna().all()
    assert set(table["noise_bank"]) == {"scoring"}
    ok = table[table["status"] == "ok"]
    assert {"w2", "sample_nll", "endpoint_rmse"} <= set(ok["metric"])
    assert "total_rmse" not in set(ok["metric"])
    exact = ok[ok["nfe_requested"].notna()]
    assert (exact["nfe"] == exact["nfe_requested"]).all()
    view = ok[ok["label"] == "exact"]
    assert set(view["sampled_path"]) == {"linear", "vp", "edm"}
    assert set(table[table["status"] == "refused"]["solver"]) == {"heun2"}


def test_more_evaluations_are_nearer_to_the_fine_solve(layout: Layout) -> None:
    table = records.read(layout.oracle("mixture2d") / oracle.TABLE)
    rmse = table[(table["metric"] == "endpoint_rmse") & (table["solver"] == "euler")]
    rmse = rmse.set_index(["label", "nfe_requested"])["value"]
    for label in ("exact.linear", "exact.vp"):
        assert rmse[(label, 16)] < 0.2 * rmse[(label, 1)]


def test_one_more_evaluation_count_computes_only_its_cells(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.stages.running import model_sweep as sweeping

    asked: list[int | None] = []
    honest = sweeping.Sweep.measure

    def counting(self: sweeping.Sweep, cell: Any, *more: Any) -> Any:
        asked.append(cell.nfe)
        return honest(self, cell, *more)

    monkeypatch.setattr(sweeping.Sweep, "measure", counting)
    assert oracle.run(experiment([1, 2, 16]), layout, dataset="mixture2d")["status"] == "ok"
    assert set(asked) == {2}
    asked.clear()
    assert oracle.run(experiment([1, 2, 16]), layout, dataset="mixture2d")["status"] == "ok"
    assert asked == []


def test_without_data_it_fails_with_its_reason(layout: Layout, tmp_path: Any) -> None:
    empty = Layout(tmp_path)
    assert oracle.run(experiment([1]), empty, dataset="mixture2d")["status"] == "failed"
    outcome = read_outcome(empty.oracle("mixture2d"))
    assert outcome is not None
    assert "upstream data has not run" in outcome["error"]
