"""Samplers screened on few samples: what is scored, what goes on, and what a new seed costs."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench.data.dataset import DataSet
from bench.data.files import save
from bench.evidence import records
from bench.evidence.statistics import exact_cells, select_samplers
from bench.experiment.cells import cells, screened_cells
from bench.experiment.layout import OUTCOME, Layout
from bench.experiment.loading import from_mapping
from bench.experiment.spec import Experiment
from bench.files import write_json
from bench.stages import screen, sweep, train
from bench.stages.running.cell_by_cell import JOURNAL
from bench.stages.running.model_sweep import Sweep
from bench.stages.running.outcome import INCOMPLETE, read_outcome
from tests.contracts.test_formulations import experiment

DATA, LABEL, OTHER = "mixture2d", "flow_matching", "vp_diffusion"
PRIMARY = "w2"


def asked(seeds: tuple[int, ...] = (0, 1), **changes: Any) -> Experiment:
    """Two formulations whose solvers run on three grids, of which the best one is scored."""
    mapping = experiment(LABEL).resolved()
    mapping["formulations"] |= {OTHER: {}}
    mapping["training"]["learning_rate"] = 2.0e-3
    mapping["seeds"] = list(seeds)
    mapping["sweep"] |= {
        "solvers": ["euler", "ddim", "dopri5"],
        "grids": ["own", "uniform_t", "karras"],
        "nfe": [1, 4, 64],
        "tolerances": [1e-1],
        "samples": {"scoring": 200, "selection": 100},
        "block": 100,
        "batch_size": 100,
        "reference_samples": 50,
        "screen": {"best": 1},
        **changes,
    }
    mapping["metrics"] |= {"kid_subset_size": 50}
    return from_mapping(mapping, "screened.yaml")


def prepare(chosen: Experiment, layout: Layout, data: DataSet) -> None:
    if not (layout.data(DATA) / OUTCOME).exists():
        save(data, layout.data(DATA))
        write_json(layout.data(DATA) / OUTCOME, {"status": "ok", "error": None})
    for label in chosen.labels:
        train.run(chosen, layout, dataset=DATA, label=label, stage="train", seeds=chosen.seeds)


@pytest.fixture(scope="module")
def trained(small_data: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """Models of three seeds, so that one can be added."""
    layout = Layout(tmp_path_factory.mktemp("trained"))
    prepare(asked((0, 1, 2)), layout, small_data)
    return layout


@pytest.fixture
def layout(trained: Layout, tmp_path: Path) -> Layout:
    shutil.copytree(trained.root, tmp_path / "run")
    return Layout(tmp_path / "run")


def run(chosen: Experiment, layout: Layout, label: str = LABEL) -> None:
    for stage in (screen, sweep):
        stage.run(chosen, layout, dataset=DATA, label=label, seeds=chosen.seeds)


def table(layout: Layout, seeds: tuple[int, ...], label: str = LABEL) -> pd.DataFrame:
    """What screens and sweeps have measured."""
    folders = [layout.screen(DATA, label, s) / "screen.parquet" for s in seeds]
    folders += [layout.sweep(DATA, label, s) / "sweep.parquet" for s in seeds]
    return pd.concat([records.read(path) for path in folders if path.exists()], ignore_index=True)


def scored(rows: pd.DataFrame, seed: int) -> set[tuple[Any, ...]]:
    """Solver, grid, evaluations asked for and tolerance of the scored cells of a seed."""
    rows = rows[
        (rows["train_seed"] == seed)
        & (rows["noise_bank"] == "scoring")
        & (rows["metric"] == PRIMARY)
        & rows["solver"].isin(["euler", "ddim", "dopri5"])
    ]
    columns = rows[["solver", "grid", "nfe_requested", "tolerance"]].astype(object)
    return set(columns.where(columns.notna(), None).itertuples(index=False, name=None))


def best_by_hand(rows: pd.DataFrame, seed: int, seeds: tuple[int, ...]) -> set[tuple[Any, ...]]:
    """The best candidate at each number of evaluations, and Euler on its own grid, by loops."""
    swept = (1, 4, 64)
    values: dict[int, dict[tuple[Any, ...], list[float]]] = {}
    kept = rows[(rows["metric"] == PRIMARY) & (rows["noise_bank"] == "selection")]
    spent = max((r.nfe_max for r in kept.itertuples() if r.solver == "dopri5"), default=math.inf)
    for row in kept.itertuples():
        if row.train_seed == seed and len(seeds) > 1:
            continue
        adaptive = row.solver == "dopri5"
        at = next((n for n in swept if n >= spent), None) if adaptive else row.nfe_requested
        if at is None:
            continue
        key = (row.solver, row.grid, None if adaptive else at, 0.1 if adaptive else None)
        values.setdefault(at, {}).setdefault(key, []).append(math.log(row.value))
    # Of equal ones, as all grids of one interval are, a solver on its own grid, then by name.
    own = {("euler", "uniform_t"), ("ddim", "uniform_log_snr"), ("dopri5", "adaptive")}
    best = {
        min(sorted(of, key=lambda k: (k[:2] not in own, str(k))), key=lambda k: np.mean(of[k]))
        for of in values.values()
    }
    return best | {("euler", "uniform_t", n, None) for n in swept}


@pytest.mark.parametrize("label", [LABEL, OTHER])
def test_the_best_of_the_other_seeds_are_scored_and_one_of_them_is_chosen(
    layout: Layout, label: str
) -> None:
    chosen = asked()
    run(chosen, layout, label)
    rows = table(layout, (0, 1), label)
    every = screened_cells(chosen, chosen.formulation(label))
    screened = rows[(rows["noise_bank"] == "selection") & (rows["train_seed"] == 0)]
    where = ["solver", "grid", "nfe_requested", "tolerance"]
    assert len(screened.drop_duplicates(where)) == len(every) == len(set(every))
    assert any(cell.solver == "dopri5" for cell in every)
    for seed in (0, 1):
        assert scored(rows, seed) == best_by_hand(rows, seed, (0, 1))
        assert len(scored(rows, seed)) < len(every)
    selected = select_samplers(exact_cells(rows, PRIMARY))
    assert len(selected) == 2 * 3
    assert selected["value"].notna().all()
    # Geometry is measured by the sweep alone, and is there.
    assert (rows[rows["metric"] == "straightness_native"]["noise_bank"] == "scoring").all()
    assert len(rows[rows["metric"] == "straightness_native"])


def test_a_single_seed_chooses_by_its_own_screen(layout: Layout) -> None:
    chosen = asked((0,))
    run(chosen, layout)
    rows = table(layout, (0,))
    assert scored(rows, 0) == best_by_hand(rows, 0, (0,))


def test_screened_cells_are_those_of_a_sweep_of_everything(layout: Layout, tmp_path: Path) -> None:
    """What is sampled is the same to the last bit, whoever chose to sample it."""
    run(asked(), layout)
    whole = Layout(tmp_path / "whole")
    shutil.copytree(layout.root, whole.root)
    for seed in (0, 1):
        shutil.rmtree(whole.sweep(DATA, LABEL, seed))
    sweep.run(asked(screen=None), whole, dataset=DATA, label=LABEL, seeds=[0, 1])
    key = ["train_seed", "noise_bank", "solver", "grid", "nfe_requested", "tolerance", "metric"]
    key += ["reference_set"]
    every = pd.concat(
        [records.read(whole.sweep(DATA, LABEL, seed) / "sweep.parquet") for seed in (0, 1)]
    )
    both = table(layout, (0, 1))[[*key, "value"]].dropna(subset="noise_bank")
    both = both.dropna(subset="value")
    joined = both.merge(every[[*key, "value"]], on=key, how="left", suffixes=("", "_whole"))
    assert len(joined) == len(both)
    assert (joined["value"] == joined["value_whole"]).all()


def test_what_is_killed_goes_on_and_what_is_done_is_kept(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, drawn = asked(), list[Any]()
    draw = Sweep.draw

    def cut(self: Sweep, cell: Any, *about: Any) -> Any:
        drawn.append(cell)
        if len(drawn) == 6:
            raise KeyboardInterrupt
        return draw(self, cell, *about)

    monkeypatch.setattr(Sweep, "draw", cut)
    with pytest.raises(KeyboardInterrupt):
        run(chosen, layout)
    kept = (layout.screen(DATA, LABEL, 0) / JOURNAL).read_text().splitlines()
    assert len(kept) == 5
    run(chosen, layout)
    every = len(screened_cells(chosen, chosen.formulation(LABEL)))
    screens = [cell for cell in drawn[6:] if cell.bank == "selection"]
    assert len(screens) == 2 * every - 5
    before = len(drawn)
    run(chosen, layout)
    assert len(drawn) == before


def test_a_seed_that_is_added_computes_its_own_cells_and_those_newly_chosen(
    layout: Layout,
) -> None:
    run(asked(), layout)
    places = [layout.screen(DATA, LABEL, 0), layout.screen(DATA, LABEL, 1)]
    before = [(place / JOURNAL).read_text() for place in places]
    first = table(layout, (0, 1))
    journal = (layout.sweep(DATA, LABEL, 0) / JOURNAL).read_text()
    run(asked((0, 1, 2)), layout)
    rows = table(layout, (0, 1, 2))
    assert [(place / JOURNAL).read_text() for place in places] == before
    for seed in (0, 1, 2):
        assert scored(rows, seed) == best_by_hand(rows, seed, (0, 1, 2))
    after = (layout.sweep(DATA, LABEL, 0) / JOURNAL).read_text()
    assert after.startswith(journal)
    new = [json.loads(line) for line in after.removeprefix(journal).splitlines()]
    found = {
        (row["solver"], row["grid"], row.get("nfe_requested"), row.get("tolerance"))
        for entry in new
        for row in entry["rows"]
    }
    assert found == scored(rows, 0) - scored(first, 0)


def test_a_screen_that_failed_leaves_the_choice_to_the_others_and_rows_say_so(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = asked((0, 1, 2))
    draw = Sweep.draw

    def broken(self: Sweep, *about: Any) -> Any:
        if self.seed == 1:
            raise RuntimeError("planted")
        return draw(self, *about)

    with monkeypatch.context() as patch:
        patch.setattr(Sweep, "draw", broken)
        screen.run(chosen, layout, dataset=DATA, label=LABEL, seeds=chosen.seeds)
    sweep.run(chosen, layout, dataset=DATA, label=LABEL, seeds=chosen.seeds)
    rows = table(layout, (0, 2))
    for seed in (0, 2):
        assert scored(rows, seed) == best_by_hand(rows, seed, (0, 1, 2))
        outcome = read_outcome(layout.sweep(DATA, LABEL, seed))
        assert outcome is not None and "seeds 1" in outcome[INCOMPLETE]
    told = rows[(rows["noise_bank"] == "scoring") & (rows["status"] == "ok")]["error"]
    assert told.str.contains("chosen without").all()
    # Whole again, the screens of all seeds are asked, and nothing is said.
    run(chosen, layout)
    rows = table(layout, (0, 1, 2))
    assert rows["error"].dropna().str.contains("chosen without").sum() == 0
    assert scored(rows, 0) == best_by_hand(rows, 0, (0, 1, 2))


def test_a_sweep_does_not_choose_by_screens_of_another_experiment(layout: Layout) -> None:
    run(asked(), layout)
    more = asked(nfe=[1, 4, 16, 64])
    sweep.run(more, layout, dataset=DATA, label=LABEL, seeds=[0])
    outcome = read_outcome(layout.sweep(DATA, LABEL, 0))
    assert outcome is not None and outcome["status"] == "failed"
    assert "run screen first" in outcome["error"]


def test_without_a_screen_the_cells_are_those_of_both_banks() -> None:
    chosen = asked(screen=None)
    every = cells(chosen, chosen.formulation(LABEL))
    assert {cell.bank for cell in every} == {"scoring", "selection"}
    assert len(every) == 2 * len(screened_cells(chosen, chosen.formulation(LABEL)))
