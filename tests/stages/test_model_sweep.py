"""What a cell of a sweep records: the split of the error, and models on other paths."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch

from bench.data.dataset import DataSet
from bench.experiment.cells import SCORING, UNIFIED, Cell
from bench.experiment.sections import SweepSpec
from bench.metrics.context import References, Settings
from bench.models.exact import ExactModel
from bench.models.path_model import PathModel
from bench.models.paths import Path
from bench.models.paths.edm import Edm
from bench.models.paths.linear import Linear
from bench.models.paths.vp import Vp
from bench.stages.running.journal import Entry
from bench.stages.running.model_sweep import Sweep
from bench.stages.running.once_a_model import measure_field
from tests.fields import exact_model, ring

AMONG = ("linear", "vp", "edm")
LAW = ring()


def sweep(path: Path, model: PathModel | ExactModel, **more: Any) -> Sweep:
    points = LAW.sample(400, torch.Generator().manual_seed(3)).float()
    data = DataSet("mixture2d", "vector", points[:200], points[200:], None, 0.7, mixture=LAW)
    spec = SweepSpec(
        samples={"scoring": 100}, block=50, batch_size=100, reference_tolerance=1e-5,
        reference_samples=60,
    )  # fmt: skip
    return Sweep(
        model=model,
        conditional=None,
        seed=0,
        spec=spec,
        references=References(data, Settings(50, 1, 10, 3)),
        seconds=lambda kind: nullcontext(),
        device=torch.device("cpu"),
        **more,
    )


def wrong(path: Path) -> PathModel:
    """A model of a law that is a little broader than the data's."""
    return exact_model(path, ring(std=0.3))


def values(entry: Entry) -> dict[str, float]:
    return {
        str(row["metric"]): float(row["value"]) for row in entry.rows if row["value"] is not None
    }


def on(path: str | None, nfe: int = 8, solver: str = "euler") -> Cell:
    if path is None:
        return Cell(solver, SCORING, "uniform_t", nfe)
    return Cell(solver, SCORING, UNIFIED, nfe, path=path, among=AMONG)


@pytest.mark.parametrize("path", [Linear(), Vp()], ids=["linear", "vp"])
@pytest.mark.parametrize("nfe", [1, 4, 32])
def test_total_error_is_at_most_field_plus_solver(path: Path, nfe: int) -> None:
    model = sweep(path, wrong(path), exact=ExactModel(LAW, path))
    field = values(measure_field(model, {}, "d"))["field_rmse"]
    cell = values(model.measure(on(None, nfe), {}, "d"))
    assert 0.01 < field < 0.3
    assert cell["total_rmse"] <= field + cell["endpoint_rmse"]
    assert cell["total_rmse"] >= abs(field - cell["endpoint_rmse"])
    if nfe == 32:
        assert cell["total_rmse"] == pytest.approx(field, rel=0.3)


def test_the_exact_field_has_the_error_of_the_solver_alone() -> None:
    path = Linear()
    exact = sweep(path, ExactModel(LAW, path), dtype=torch.float64)
    learnt = sweep(path, exact_model(path, LAW), exact=ExactModel(LAW, path))
    mine, theirs = (values(one.measure(on(None), {}, "d")) for one in (exact, learnt))
    assert "total_rmse" not in mine
    assert mine["endpoint_rmse"] == pytest.approx(theirs["endpoint_rmse"], rel=0.02)
    assert theirs["total_rmse"] == pytest.approx(theirs["endpoint_rmse"], rel=0.02)


def test_the_field_is_recorded_over_log_snr() -> None:
    path = Vp()
    rows = measure_field(sweep(path, wrong(path), exact=ExactModel(LAW, path)), {}, "d").rows
    points = [row["log_snr"] for row in rows if row["metric"] == "field_error.data"]
    assert points == list(range(-8, 9))
    assert rows[-1]["metric"] == "field_rmse"


def test_a_model_on_another_path_says_so() -> None:
    model = sweep(Vp(), wrong(Vp()), exact=ExactModel(LAW, Vp()))
    found = {path: model.measure(on(path), {"sampled_path": "vp"}, "d") for path in AMONG}
    for path, entry in found.items():
        for row in entry.rows:
            assert row["sampled_path"] == path
            assert row["grid"] == UNIFIED
            assert str(row["interval"]).startswith("log_snr [-8.764, 9.1")
            assert row["nfe"] == row["nfe_requested"] == 8
        assert not entry.arrays
        assert "total_rmse" not in values(entry)
    # Both straight lines of (alpha, sigma): Euler is DDIM, and the samples are the same.
    linear, edm, vp = (values(found[path]) for path in ("linear", "edm", "vp"))
    for metric, value in linear.items():
        assert value == pytest.approx(edm[metric], rel=1e-4)
    assert vp["endpoint_rmse"] != pytest.approx(linear["endpoint_rmse"], rel=0.01)


@pytest.mark.parametrize("path", [Vp(), Edm()], ids=["vp", "edm"])
def test_fine_samples_on_all_paths_end_at_one_reference(path: Path) -> None:
    model = sweep(path, ExactModel(LAW, path), dtype=torch.float64)
    for name in AMONG:
        assert values(model.measure(on(name, 1024, "rk4"), {}, "d"))["endpoint_rmse"] < 1e-3


def test_a_refused_cell_of_the_view_is_a_row() -> None:
    cell = Cell("heun2", SCORING, UNIFIED, 3, refused="no", path="vp", among=AMONG)
    (row,) = sweep(Linear(), wrong(Linear())).measure(cell, {}, "d").rows
    assert row["status"] == "refused"
    assert row["sampled_path"] == "vp"
