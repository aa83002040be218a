"""Batches that do not fit into memory, and a loop that never waits for the device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bench.experiment.cells import Cell
from bench.formulations.grammar import weighting
from bench.formulations.parts import formulation_module
from bench.models.meter import counted
from bench.models.path_model import CONDITIONS, PathModel, build_network
from bench.models.paths.linear import Linear
from bench.registry import discover
from bench.sampling.sample import Request, sample, sample_what_fits
from bench.sampling.solvers.catalogue import SOLVERS
from bench.stages import timing
from bench.streams import Draws
from bench.training.batches import FreshNoise
from bench.training.budget import Ledger
from bench.training.couplings import Pair
from bench.training.loop import Settings, Trainer
from bench.training.objectives.regression import Regression
from tests.fields import exact_model, ring
from tests.stages.test_model_sweep import on, sweep, wrong

DATA = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
OPTIONS = {"width": 8, "depth": 1, "embedding": 4}
BATCH = 32


class OutOfMemory:
    """An objective on a device that holds the graph of so many samples."""

    def __init__(self, inner: Any, fits: int) -> None:
        self.inner, self.fits, self.sizes = inner, fits, list[int]()
        self.teacher, self.couples_samples = None, False

    def __call__(self, model: PathModel, pair: Pair, draws: Draws, progress: float) -> torch.Tensor:
        loss: torch.Tensor = self.inner(model, pair, draws, progress)
        if len(pair.data) > self.fits:
            raise torch.OutOfMemoryError("out of memory")
        self.sizes.append(len(pair.data))
        return loss


def trainer(formulation: str = "flow_matching", device: str = "cpu", **parts: Any) -> Trainer:
    module = formulation_module(formulation)
    stage = module.formulation(module.Options()).stages[0]
    conditions = CONDITIONS[stage.condition]
    network = build_network("residual_mlp", (2,), OPTIONS, 0, conditions=conditions).to(device)
    found: dict[str, Any] = {
        "objective": stage.objective.build(
            time_sampling=stage.time_sampling.build(), weighting=stage.weighting.build()
        ),
        "coupling": stage.coupling.build(),
        **parts,
    }
    return Trainer(
        model=PathModel(network, stage.path.build(), stage.prediction, 1.0, stage.condition),
        source=FreshNoise(DATA.to(device), 0),
        settings=Settings(BATCH, 1e-3, 0.1, 0.1, 1.0),
        ledger=Ledger(),
        seed=0,
        **found,
    )


def gradients(training: Trainer) -> list[torch.Tensor]:
    return [p.grad for p in training.parameters if p.grad is not None]


# --- accumulation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["flow_matching", "shortcut", "mean_flow", "ot_flow_matching"])
def test_a_batch_in_parts_has_the_loss_and_gradient_of_the_whole(name: str) -> None:
    whole = trainer(name)
    parted = trainer(name, objective=OutOfMemory(trainer(name).objective, fits=BATCH // 4))
    for training in (whole, parted):
        for parameter in training.parameters:
            stream = torch.Generator().manual_seed(parameter.numel())
            torch.nn.init.normal_(parameter, std=0.3, generator=stream)
    losses = [training._step("train", 3, 0.5, updates=1) for training in (whole, parted)]
    assert parted.parts == 4
    assert parted.objective.sizes == [BATCH // 4] * 4
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-5, atol=1e-6)
    for ours, theirs in zip(gradients(parted), gradients(whole), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    # What did not fit is not charged: the step costs what it costs whole.
    ours, theirs = (training.ledger.charges["train"] for training in (parted, whole))
    assert (ours.forwards, ours.backwards) == (theirs.forwards, theirs.backwards)
    assert (ours.flops, ours.updates) == (theirs.flops, theirs.updates)


def test_a_run_takes_parts_from_its_probe_on() -> None:
    inner = trainer().objective
    parted = trainer(objective=OutOfMemory(inner, fits=10))
    assert parted.run(3.0e4, "network_passes") == trainer().run(3.0e4, "network_passes")
    assert parted.parts == 4
    assert set(parted.objective.sizes) == {8}


def test_a_single_sample_that_does_not_fit_is_a_failure() -> None:
    none = trainer(objective=OutOfMemory(trainer().objective, fits=0))
    with pytest.raises(torch.OutOfMemoryError):
        none.probe()


# --- sampling -------------------------------------------------------------------------------------


class Tight:
    """A flow on a device that holds so many samples."""

    def __init__(self, model: PathModel, fits: int, sizes: list[int]) -> None:
        self.model, self.fits, self.sizes = model, fits, sizes
        self.path, self.evaluations = model.path, model.evaluations

    def part(self, samples: slice) -> Tight:
        return self

    def velocity(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        if len(x) > self.fits:
            raise torch.OutOfMemoryError("out of memory")
        self.sizes.append(len(x))
        return self.model.velocity(x, t)

    data = velocity


def test_a_batch_of_fixed_cost_that_does_not_fit_is_halved() -> None:
    model, sizes = exact_model(Linear(), ring()), list[int]()
    noise = torch.randn(100, 2, generator=torch.Generator().manual_seed(1))
    request = Request(SOLVERS["euler"], nfe=4, grid="uniform_t")
    whole = sample(model, noise, request, 1000)
    tight = sample(Tight(model, 30, sizes), noise, request, 1000)
    assert Counter(sizes) == {25: 16}
    assert (whole.batch_size, tight.batch_size) == (1000, 25)
    torch.testing.assert_close(tight.end, whole.end)
    assert tight.nfe == whole.nfe == tight.nfe_max == 4


def test_an_adaptive_solver_keeps_its_batch_or_fails() -> None:
    noise = torch.randn(100, 2, generator=torch.Generator().manual_seed(1))
    request = Request(SOLVERS["dopri5"], tolerance=1e-2)
    with pytest.raises(torch.OutOfMemoryError):
        sample(Tight(exact_model(Linear(), ring()), 30, []), noise, request, 100)


def test_a_halved_cell_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = sweep(Linear(), wrong(Linear()))
    plain = measured._flow

    def tight(model: Any, cell: Cell) -> Any:
        return Tight(plain(model, cell), 60, [])

    monkeypatch.setattr(measured, "_flow", tight)
    rows = measured.measure(on(None, 4), {}, "d").rows
    assert {row["status"] for row in rows} == {"ok"}
    assert {row["batch_size"] for row in rows} == {50}
    assert {row["error"] for row in rows} == {"out of memory: batches of 50 samples instead of 100"}
    adaptive = Cell("dopri5", "scoring", "adaptive", None, 0.1)
    rows = measured.measure(adaptive, {}, "d").rows
    assert {row["batch_size"] for row in rows} == {50}
    assert {row["error"] for row in rows} == {"out of memory: batches of 50 samples instead of 100"}


def test_an_adaptive_solver_begins_anew_with_batches_of_one_size() -> None:
    model, sizes = exact_model(Linear(), ring()), list[int]()
    noise = torch.randn(100, 2, generator=torch.Generator().manual_seed(1))
    request = Request(SOLVERS["dopri5"], tolerance=1e-2)
    tight = sample_what_fits(Tight(model, 30, sizes), noise, request, 1000)
    assert set(sizes) == {25}
    halved = sample(model, noise, request, 25)
    assert tight == replace(halved, end=tight.end)
    torch.testing.assert_close(tight.end, halved.end)
    with pytest.raises(torch.OutOfMemoryError):
        sample_what_fits(Tight(model, 0, sizes), noise, request, 100)


def test_a_fine_solve_that_does_not_fit_is_halved_and_its_cells_say_so() -> None:
    plain = sweep(Linear(), wrong(Linear()))
    model: Any = Tight(wrong(Linear()), 30, [])
    tight = sweep(Linear(), model)
    tight.spec = plain.spec.model_copy(update={"batch_size": 25})
    rows = tight.measure(on(None, 4), {}, "d").rows
    note = "out of memory: fine solves of 30 samples instead of 60"
    assert {row["error"] for row in rows} == {note}
    assert {row["status"] for row in rows} == {"ok"}
    whole, halved = (
        next(row["value"] for row in found if row["metric"] == "endpoint_rmse")
        for found in (plain.measure(on(None, 4), {}, "d").rows, rows)
    )
    assert halved == pytest.approx(whole, rel=1e-3)


def timed(
    fits: int, warmup: int, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, list[int]]:
    """The row of a cell on a device that holds so many samples, and the batches it took.

    The clock counts evaluations, those that did not fit included.
    """
    sizes, tries = list[int](), list[object]()
    chosen: Any = SimpleNamespace(
        timing=SimpleNamespace(batch_size=40, warmup=warmup, repeats=3), seeds=[0]
    )
    model: Any = Tight(exact_model(Linear(), ring()), fits, sizes)
    velocity = model.velocity

    def tried(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        tries.append(t)
        return velocity(x, t)

    monkeypatch.setattr(timing, "_now", lambda device: float(len(tries)))
    model.velocity, model.network = tried, model.model.network
    data: Any = SimpleNamespace(shape=(2,))
    (row,) = timing._row(chosen, cell, model, data, {"train_seed": 0}, "d").rows
    return row, sizes


@pytest.mark.parametrize("warmup", [0, 1])
@pytest.mark.parametrize(("fits", "size"), [(100, 40), (25, 20)], ids=["fits", "does not"])
def test_seconds_are_those_of_the_batch_that_fits(
    fits: int, size: int, warmup: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, sizes = timed(fits, warmup, on(None, 2), monkeypatch)
    assert set(sizes) == {size}
    # Evaluations of a run: two for each batch. A run that finds the size warms up, too.
    run = 2 * (40 // size)
    assert len(sizes) == run * (3 + max(warmup, size < 40))
    assert (row["status"], row["n_samples"], row["batch_size"]) == ("ok", 40, size)
    assert (row["value"], row["value_se"]) == (run / 40, 0)
    note = "out of memory: batches of 20 samples instead of 40"
    assert (note in str(row["error"])) == (size == 20)


def test_a_cell_that_cannot_be_timed_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    row, _ = timed(0, 1, on(None, 2), monkeypatch)
    assert (row["metric"], row["status"], row.get("value")) == ("failed", "failed", None)
    assert "OutOfMemoryError" in row["error"]


WAITING = {"ot_flow_matching"}
"""An assignment is solved on the host."""


# --- no waiting for the device --------------------------------------------------------------------


class Watched(TorchDispatchMode):
    """Counts what would wait for a device: numbers read by the host, and blocking copies."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = self.copies = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        self.reads += function is torch.ops.aten._local_scalar_dense.default
        moved = function is torch.ops.aten._to_copy.default and kwargs.get("device") is not None
        if moved and kwargs["device"] != args[0].device:
            self.copies += not kwargs.get("non_blocking", False)
        return function(*args, **kwargs)


class Quiet:
    """A time sampling that reads no number, ``uniform`` on (0, 1)."""

    def __call__(self, u: torch.Tensor, path: object) -> torch.Tensor:
        return u


def quiet(reading: Callable[[torch.Tensor], object] = lambda loss: None) -> Any:
    inner = Regression(Quiet(), weighting("unit").build())

    def objective(*given: Any) -> torch.Tensor:
        loss = inner(*given)
        reading(loss)
        return loss

    return objective


@pytest.mark.parametrize(
    ("reading", "more"), [(lambda loss: None, 0), (lambda loss: float(loss.detach().mean()), 1)]
)
def test_the_host_reads_the_loss_at_logged_updates_only(
    reading: Callable[[torch.Tensor], object], more: int
) -> None:
    training = trainer(objective=quiet(reading))
    with Watched() as watched:
        updates = training.run(2.5e4, "network_passes")
    assert updates > len(training.losses)
    assert watched.reads == len(training.losses) + more * (updates + 1)


@pytest.mark.parametrize("formulation", sorted(set(discover("formulations")) - WAITING))
def test_a_step_reads_nothing_of_the_device_and_every_copy_to_it_is_asynchronous(
    formulation: str,
) -> None:
    """Tensors on ``meta`` hold no numbers: reading one raises."""
    training = trainer(formulation, device="meta")
    with Watched() as watched, counted():
        training._gradient("train", 0, 0.0)
    assert watched.copies == 0
    reads = watched.reads
    with Watched() as watched, counted():
        training._gradient("train", 1, 0.0)
    assert watched.copies == 0
    assert watched.reads == reads  # of numbers that are on the host already, such as a path's ends
