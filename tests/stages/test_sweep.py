"""A sweep scored beside its sampling is the sweep; what is killed goes on; the choice is kept."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from bench.data.dataset import DataSet
from bench.evidence import records
from bench.evidence.manifest import _acceleration
from bench.experiment.cells import cells
from bench.experiment.layout import Layout
from bench.experiment.loading import from_mapping
from bench.experiment.spec import Experiment
from bench.stages import sweep
from bench.stages.running import cell_by_cell
from bench.stages.running import switches as switching
from bench.stages.running.cell_by_cell import JOURNAL
from bench.stages.running.model_sweep import Sweep
from bench.stages.running.outcome import read_outcome
from bench.stages.running.seconds import Seconds
from tests.contracts.test_formulations import experiment, run_all_stages

DATA, LABEL = "mixture2d", "flow_matching"


def asked(**changes: Any) -> Experiment:
    """A small sweep with adaptive cells and a grid made for the model."""
    mapping = experiment(LABEL).resolved()
    mapping["sweep"] |= {
        "solvers": ["ancestral", "euler", "dopri5"],
        "grids": ["own", "adapted"],
        "nfe": [1, 2, 8],
        "tolerances": [1e-2],
        "samples": {"scoring": 200, "selection": 100},
        "block": 100,
        "batch_size": 100,
        "reference_samples": 50,
        **changes,
    }
    mapping["metrics"] |= {"kid_subset_size": 50}
    return from_mapping(mapping, "contract.yaml")


@pytest.fixture(scope="module")
def trained(small_data: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Layout:
    layout = Layout(tmp_path_factory.mktemp("trained"))
    run_all_stages(asked(), layout, small_data)
    return layout


def copy(trained: Layout, root: Path) -> Layout:
    """The trained model in a folder of its own."""
    shutil.copytree(trained.root, root)
    return Layout(root)


def run(chosen: Experiment, layout: Layout) -> tuple[pd.DataFrame, dict[str, Any]]:
    sweep.run(chosen, layout, dataset=DATA, label=LABEL, seeds=[0])
    folder = layout.sweep(DATA, LABEL, 0)
    outcome = read_outcome(folder)
    assert outcome is not None and outcome["status"] == "ok", outcome
    return records.read(folder / sweep.TABLE), outcome


def test_scores_beside_the_samples_change_no_row_but_how_fast_they_come(
    trained: Layout, tmp_path: Path
) -> None:
    found = {}
    for overlap in ("off", "on"):
        layout = copy(trained, tmp_path / overlap)
        found[overlap], outcome = run(asked(overlap=overlap), layout)
        assert outcome["overlap"] == (overlap == "on")
    named = ["config_digest"]
    pd.testing.assert_frame_equal(found["on"].drop(columns=named), found["off"].drop(columns=named))
    assert {"adapted", "adaptive"} < set(found["on"]["grid"])


def test_a_sweep_that_is_cut_off_beside_its_scores_goes_on(
    trained: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = asked(overlap="on")
    whole, _ = run(chosen, copy(trained, tmp_path / "whole"))
    layout, drawn = copy(trained, tmp_path / "cut"), list[object]()
    draw = Sweep.draw

    def cut(self: Sweep, cell: Any, *about: Any) -> Any:
        drawn.append(cell)
        if len(drawn) == 5:
            raise KeyboardInterrupt
        return draw(self, cell, *about)

    monkeypatch.setattr(Sweep, "draw", cut)
    with pytest.raises(KeyboardInterrupt):
        sweep.run(chosen, layout, dataset=DATA, label=LABEL, seeds=[0])
    journal = (layout.sweep(DATA, LABEL, 0) / JOURNAL).read_text().splitlines()
    # The geometry and three cells: the fourth was being scored.
    assert len(journal) == 4
    drawn.clear()
    drawn.extend(range(5))
    again, _ = run(chosen, layout)
    pd.testing.assert_frame_equal(again, whole)
    assert len(drawn) - 5 == len(cells(chosen, chosen.formulation(LABEL))) - 3


class Pretending:
    """A sweep on a GPU, as far as a choice asks."""

    device = torch.device("cuda")


def test_overlap_is_measured_once_on_a_gpu_and_reaches_the_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured, worth = list[tuple[str, ...]](), {"overlap": 0.8}

    def turn(sweep: Any, cell: Any, seconds: Any, on: tuple[str, ...]) -> Any:
        measured.append(on)
        assert (cell.nfe, cell.bank, cell.path) == (2, "scoring", None)
        return lambda: (worth["overlap"] if on else 1.0, 1.0)

    monkeypatch.setattr(switching, "_round", turn)
    monkeypatch.setattr(switching, "about_scores", lambda *about: {"device": "a card"})
    layout = Layout(tmp_path)
    pretending: Any = Pretending()

    def choice(chosen: Experiment, layout: Layout = layout) -> bool:
        todo = cells(chosen, chosen.formulation(LABEL))
        return switching.overlaps(chosen, layout, DATA, pretending, todo, Seconds())

    assert [choice(asked(overlap="off")), choice(asked(overlap="on"))] == [False, True]
    assert not measured
    for _ in range(2):
        assert choice(asked())
    assert measured == [(), ("overlap",)]
    ((place, found),) = _acceleration(layout)["acceleration"].items()
    assert place == f"{DATA}/every model/overlap"
    assert (found["on"], found["ratios"]) == (["overlap"], {"overlap": 0.8})
    worth["overlap"] = 1.0
    assert not choice(asked(), Layout(tmp_path / "other"))


def test_the_rounds_that_are_compared_are_real_and_the_same(
    trained: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a GPU would be asked, on the CPU: both ways give the same rows."""
    compared = list[float]()
    layout = copy(trained, tmp_path / "copy")

    def real(chosen: Any, layout: Any, dataset: Any, sweep: Any, todo: Any, seconds: Any) -> bool:
        cell = next(cell for cell in todo if cell.nfe == 8)
        compared.extend(
            switching._round(sweep, cell, seconds, on)()[1] for on in ((), ("overlap",))
        )
        return False

    monkeypatch.setattr(cell_by_cell, "overlaps", real)
    run(asked(), layout)
    plain, beside = compared
    assert plain == beside > 0


def test_words_of_yaml_for_overlap() -> None:
    assert asked(overlap=True).sweep.overlap == "on"
    assert asked(overlap=False).sweep.overlap == "off"
    assert "overlap" not in asked().resolved()["sweep"]
    assert asked(overlap="off").resolved()["sweep"]["overlap"] == "off"
