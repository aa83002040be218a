"""Pairs of a reflow stage: as many as the budget buys, and the same ones after an interruption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bench.errors import BudgetError
from bench.models.path_model import PathModel, build_network
from bench.models.paths.linear import Linear
from bench.sampling.sample import Request
from bench.sampling.solvers.catalogue import SOLVERS
from bench.training.budget import Ledger
from bench.training.pairs import CHUNK, PairMaker
from tests.training.test_loop import KilledError

UNITS = (3 * CHUNK + 100) * 4.0


def maker(resume: Path | None = None, solver: str = "euler", **settings: Any) -> PairMaker:
    options = {"width": 8, "depth": 1, "embedding": 4}
    network = build_network("residual_mlp", (2,), options, 0, classes=3).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1
    model = PathModel(network.requires_grad_(False), Linear(), "velocity", 1.0)
    request = Request(SOLVERS[solver], 4)
    return PairMaker(
        model, (2,), request, Ledger(), 0, "pairs_2", resume=resume, digest="d", **settings
    )


def test_the_budget_decides_how_many() -> None:
    made = maker()
    pair = made.run(UNITS, "network_passes")
    assert len(pair.noise) == len(pair.data) == 3 * CHUNK + 100
    assert made.ledger.spent("network_passes") == UNITS


@pytest.mark.parametrize("solver", ["euler", "midpoint", "heun2", "rk4", "ddim", "dpmpp_2m"])
def test_any_solver_of_fixed_cost_makes_them(solver: str) -> None:
    pair = maker(solver=solver).run(UNITS, "network_passes")
    assert len(pair.data) == 3 * CHUNK + 100
    assert pair.data.isfinite().all()


def test_too_small_a_budget_is_refused() -> None:
    with pytest.raises(BudgetError, match="fewer than 512"):
        maker().run(4.0 * 100, "network_passes")


def test_an_interrupted_run_ends_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    label = torch.tensor([0, 0, 1])
    whole = maker(label=label)
    expected = whole.run(UNITS, "network_passes")
    monkeypatch.setattr("bench.training.pairs.CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr("bench.training.pairs.CHECKPOINT_SPACING", 0.0)

    def die(done: int, total: int) -> None:
        if done >= 3 * CHUNK:
            raise KilledError

    cut = maker(tmp_path / "resume", label=label)
    cut.report = die
    with pytest.raises(KilledError):
        cut.run(UNITS, "network_passes")
    resumed = maker(tmp_path / "resume", label=label)
    done: list[int] = []
    resumed.report = lambda now, total: done.append(now)
    pair = resumed.run(UNITS, "network_passes")
    assert done[0] == 3 * CHUNK
    for ours, theirs in zip(pair, expected, strict=True):
        assert ours is not None and theirs is not None
        assert torch.equal(ours, theirs)
    assert resumed.ledger.spent("flops") == whole.ledger.spent("flops")


def test_a_resume_file_of_another_digest_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.training.pairs.CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr("bench.training.pairs.CHECKPOINT_SPACING", 0.0)
    first = maker(tmp_path / "resume")
    first.run(UNITS, "network_passes")
    other = maker(tmp_path / "resume")
    other.digest = "another"
    done: list[int] = []
    other.report = lambda now, total: done.append(now)
    other.run(UNITS, "network_passes")
    assert done[0] == CHUNK


def test_classes_of_pairs_are_those_of_the_data() -> None:
    pair = maker(label=torch.tensor([0, 2])).run(UNITS, "network_passes")
    assert pair.label is not None
    assert set(pair.label.tolist()) == {0, 2}
    assert len(pair.label) == len(pair.data)
