"""Orders, grids and the audit, from records that are made to have a known answer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench.evidence import records
from bench.report.figures.convergence import convergence as draw
from bench.report.solver_orders import measured_order
from bench.report.study import SETUP, Study
from bench.report.table import MISMATCH, is_loud
from bench.report.tables.audit import audit
from bench.report.tables.common_solver import common_solver
from bench.report.tables.convergence import convergence
from bench.report.tables.grids import grids
from bench.report.tables.quality import quality
from bench.sampling.solvers.catalogue import SOLVERS
from tests import synthetic
from tests.report.conftest import SEEDS


def with_rows(study: Study, *more: dict[str, Any]) -> Study:
    return Study(pd.concat([study.records, records.frame(more)]), study.experiments)


# --- order of convergence ------------------------------------------------------------------------


def test_every_declared_order_is_measured_on_every_path(study: Study) -> None:
    table = convergence(study)
    declared = {name for name, solver in SOLVERS.items() if solver.order is not None}
    assert set(table.data["solver"]) == declared
    assert set(table.data["label"]) == {"exact.linear", "exact.vp"}
    assert table.data["order_measured"].to_numpy() == pytest.approx(table.data["order_declared"])
    assert not any(is_loud(cell) for cell in table.text["vp"])
    titles = [title for title, _ in table.blocks()]
    assert titles[0] == "Runge-Kutta and Adams methods"
    assert len(titles) == 4


def test_another_order_than_the_declared_one_is_loud(study: Study) -> None:
    rows = study.records
    heun = (rows["metric"] == "convergence_rmse") & (rows["solver"] == "heun2")
    value = rows["value"].mask(heun.fillna(False), rows["value"] ** 0.75)
    table = convergence(Study(rows.assign(value=value), study.experiments))
    line = table.text[table.text["solver"] == SOLVERS["heun2"].title].iloc[0]
    assert line["linear"] == f"{MISMATCH}: 1.50"
    assert is_loud(line["linear"])


def test_the_order_is_read_off_the_finest_errors_above_rounding() -> None:
    steps = [8.0, 16.0, 32.0, 64.0]
    runs = pd.DataFrame({"intervals": steps, "value": [1e-6, 1e-8, 1e-10, 1e-15]})
    assert measured_order(runs) == pytest.approx(math.log2(100))
    assert math.isnan(measured_order(runs.tail(2)))


def test_without_solves_there_is_a_sentence(study: Study) -> None:
    rows = study.records[study.records["metric"] != "convergence_rmse"]
    bare = Study(rows, study.experiments)
    assert convergence(bare).text.empty
    assert "no section 'convergence'" in convergence(bare).caption
    assert "No order" in str(draw(bare))


# --- the audit -----------------------------------------------------------------------------------


def test_every_solver_and_cost_is_audited(study: Study) -> None:
    table = audit(study)
    assert "All cells agree" in table.caption
    data = table.data.set_index(["solver", "nfe_requested"])
    rk4 = data.loc[("rk4", 16)]
    assert (rk4["intervals"], rk4["declared"]) == (4, 16)
    assert rk4["counted_least"] == rk4["counted_most"] == 16
    rows = study.records
    mine = rows[(rows["solver"] == "rk4") & (rows["nfe_requested"] == 16) & rows["nfe"].notna()]
    keys = ["dataset", "label", "train_seed", "noise_bank", "grid", "sampled_path"]
    assert rk4["cells"] == len(mine[mine["metric"] != "convergence_rmse"].drop_duplicates(keys))
    assert data.loc[("rk4", 2), "refused"] > 0
    text = table.text.set_index("solver").loc[SOLVERS["rk4"].title]
    assert text["NFE 16"].startswith("16\ndeclared 16: 4 intervals\n")
    assert text["NFE 2"].startswith("refused")
    adaptive = table.text.set_index("solver").loc[SOLVERS["dopri5"].title]
    mean, span, _ = adaptive["tolerance 0.01"].split("\n")
    low, high = span.split(" to ")
    assert float(low) < float(mean) < float(high)


def test_a_miscount_is_loud(study: Study) -> None:
    rows = study.records
    one = (rows["solver"] == "euler") & (rows["nfe_requested"] == 4) & (rows["train_seed"] == 1)
    one &= (rows["label"] == "flow_matching") & (rows["noise_bank"] == "scoring")
    table = audit(Study(rows.assign(nfe=rows["nfe"].mask(one.fillna(False), 5)), study.experiments))
    cell = table.text.set_index("solver").loc["Euler", "NFE 4"]
    assert is_loud(cell.split("\n")[0])
    assert "spent 4, 5 evaluations" in cell
    assert "All cells agree" not in table.caption


# --- grids ---------------------------------------------------------------------------------------


def on_grid(study: Study, grid: str, factor: float, solver: str = "euler") -> list[dict[str, Any]]:
    """A solver's cells once more, on another grid, with their values multiplied."""
    rows = study.records
    own = rows["grid"] == SOLVERS[solver].grid
    rows = rows[((rows["solver"] == solver) & rows["train_seed"].notna() & own).fillna(False)]
    rows = rows[rows["metric"] != "seconds_per_sample"]
    return rows.assign(grid=grid, value=rows["value"] * factor).to_dict("records")


@pytest.fixture(scope="module")
def gridded(study: Study) -> Study:
    """Euler was also swept on a grid that halves every error, and on one made for each model."""
    adapted = on_grid(study, "adapted", 2.0)
    spent = [row | {"metric": SETUP, "value": 64000.0, "extractor": None, "reference_set": None}
             for row in adapted if row["metric"] in ("w2", "memorisation")]  # fmt: skip
    return with_rows(study, *on_grid(study, "quadratic_t", 0.5), *adapted, *spent)


def test_a_grid_is_compared_with_the_solvers_own(gridded: Study) -> None:
    data = grids(gridded).data
    assert set(data["solver"]) == {"euler"}
    assert set(data["formulations"]) == {4}
    assert set(data["seeds"]) == {len(SEEDS)}
    for grid, ratio, spent in (("quadratic_t", 0.5, 0.0), ("adapted", 2.0, 64000.0)):
        mine = data[data["grid"] == grid]
        assert len(mine) == 2 * 7  # data sets, NFEs
        assert mine["estimate"].to_numpy() == pytest.approx(ratio)
        assert mine["low"].to_numpy() == pytest.approx(ratio)
        assert set(mine["setup_evaluations"]) == {spent}


def test_a_grid_that_only_some_gain_from_is_averaged_within_the_seed(study: Study) -> None:
    rows = on_grid(study, "karras", 1.0)
    for row in rows:
        row["value"] *= 4.0 if row["label"] == "vp_diffusion" else 1.0
    data = grids(with_rows(study, *rows)).data
    assert data["estimate"].to_numpy() == pytest.approx(4 ** (1 / 4))


def test_the_sampler_is_a_solver_and_its_grid(gridded: Study, study: Study) -> None:
    panel = gridded.panels[1]
    names = gridded.samplers(panel, "flow_matching", 1)
    assert names == {"euler (quadratic_t)": len(SEEDS)}
    assert set(gridded.selected["grid"]) > {"quadratic_t"}
    assert "adapted" not in set(gridded.selected["grid"])
    pd.testing.assert_frame_equal(gridded.common, study.common, check_dtype=False)


def test_what_a_grid_cost_is_no_metric_of_its_samples(study: Study) -> None:
    adapted = on_grid(study, "adapted", 0.1)
    spent = [row | {"metric": SETUP} for row in adapted if row["metric"] == "memorisation"]
    best = with_rows(study, *adapted, *(row | {"extractor": None} for row in spent))
    panel = best.panels[1]
    assert "euler (adapted)" in best.samplers(panel, "flow_matching", 1)
    assert SETUP in set(best.at_selected(panel)["metric"])
    assert SETUP not in set(quality(best).data["metric"])


def test_without_other_grids_there_is_a_sentence(study: Study) -> None:
    assert grids(study).text.empty
    assert "on its own grid alone" in grids(study).caption


def test_the_common_solver_runs_on_the_grid_that_a_formulation_names() -> None:
    one = synthetic.experiment(
        seeds=[0], formulations={"flow_matching": None, "edm": None, "shortcut": None}
    )
    caption = common_solver(Study(records.frame([]), [one])).caption
    assert "on the grid uniform_t (karras for EDM)" in caption
    assert "does not apply to Shortcut." in caption


# --- stochastic solvers --------------------------------------------------------------------------


def test_a_stochastic_sampler_has_no_end_point_and_may_still_be_the_best(study: Study) -> None:
    rows = [
        row | {"solver": "ancestral", "grid": "uniform_log_snr"}
        for row in on_grid(study, "uniform_t", 0.01)
        if row["label"] == "vp_diffusion" and row["metric"] != "endpoint_rmse"
    ]
    noisy = with_rows(study, *rows)
    panel = noisy.panels[1]
    assert noisy.samplers(panel, "vp_diffusion", 4) == {"ancestral": len(SEEDS)}
    at = noisy.at_selected(panel)
    at = at[at["label"] == "vp_diffusion"]
    assert "endpoint_rmse" not in set(at["metric"])
    assert np.isfinite(at["value"].astype(float)).all()
