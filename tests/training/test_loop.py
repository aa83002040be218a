"""The training loop: shared streams, resuming, schedules, and what a seed decides."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bench.errors import BudgetError
from bench.formulations.grammar import coupling, path, time_sampling, weighting
from bench.formulations.parts import formulation_module
from bench.models.path_model import CONDITIONS, PathModel, build_network
from bench.registry import discover
from bench.streams import Draws
from bench.training.batches import FreshNoise, StoredPairs, order
from bench.training.budget import Ledger
from bench.training.couplings import Pair
from bench.training.loop import Settings, Trainer
from bench.training.objectives.regression import Regression
from bench.training.optimiser import AdamW, MovingAverage, _schedule

SETTINGS = Settings(
    batch_size=32,
    learning_rate=1e-3,
    warmup=0.1,
    ema_half_life=0.1,
    gradient_clip=1.0,
)


def data() -> torch.Tensor:
    return torch.randn(100, 2, generator=torch.Generator().manual_seed(0))


def trainer(resume: Path | None = None, digest: str = "d", **parts: object) -> Trainer:
    network = build_network("residual_mlp", (2,), {"width": 8, "depth": 1, "embedding": 4}, 0)
    built: Trainer = Trainer(
        **{
            "model": PathModel(network, path("linear").build(), "velocity", 1.0),
            "objective": regression(),
            "coupling": coupling("independent").build(),
            "source": FreshNoise(data(), 0),
            "settings": SETTINGS,
            "ledger": Ledger(),
            "seed": 0,
            "resume": resume,
            "digest": digest,
            **parts,
        }
    )
    return built


def regression() -> Regression:
    return Regression(time_sampling("uniform").build(), weighting("unit").build())


def uniforms(seed: int, update: int, purpose: str = "time") -> torch.Tensor:
    return Draws(seed, update, 32, torch.device("cpu"))(purpose)


def weights(trained: Trainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in trained.model.network.parameters()])


class KilledError(Exception):
    """Stands for a process that dies."""


def die_at(update: int) -> Callable[[int, int], None]:
    def report(done: int, total: int) -> None:
        if done == update:
            raise KilledError

    return report


def test_an_interrupted_run_ends_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trainer()
    updates = whole.run(3.0e4, "network_passes")
    monkeypatch.setattr("bench.training.loop.CHECKPOINT_SECONDS", 0.0)
    state = tmp_path / "resume.safetensors"
    cut = trainer(state)
    cut.report = die_at(updates // 2)
    with pytest.raises(KilledError):
        cut.run(3.0e4, "network_passes")
    assert state.exists()
    resumed = trainer(state)
    done: list[int] = []
    resumed.report = lambda now, total: done.append(now)
    assert resumed.run(3.0e4, "network_passes") == updates
    assert done[0] >= updates // 2
    assert torch.equal(weights(resumed), weights(whole))
    assert resumed.losses == whole.losses
    assert resumed.ledger.spent("network_passes") == whole.ledger.spent("network_passes")


def test_a_resume_file_of_another_digest_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.training.loop.CHECKPOINT_SECONDS", 0.0)
    state = tmp_path / "resume.safetensors"
    cut = trainer(state)
    cut.report = die_at(20)
    with pytest.raises(KilledError):
        cut.run(1.0e4, "network_passes")
    other = trainer(state, digest="another")
    done: list[int] = []
    other.report = lambda now, total: done.append(now)
    other.run(1.0e4, "network_passes")
    assert done[0] == 1


@pytest.mark.parametrize("unit", ["flops", "network_passes", "device_seconds"])
def test_the_budget_is_spent_and_not_exceeded(unit: str) -> None:
    running = trainer(ledger=Ledger(seconds_per_step={"update": 0.013}))
    amount = {"flops": 4.0e6, "network_passes": 3.0e4, "device_seconds": 1.0}[unit]
    updates = running.run(amount, unit)
    assert running.ledger.charges["train"].updates == updates
    assert 0.98 * amount <= running.ledger.spent(unit) <= amount


def test_a_budget_of_too_few_updates_is_refused() -> None:
    with pytest.raises(BudgetError, match="at least 50"):
        trainer().run(3 * 32 * 20.0, "network_passes")


def test_an_epoch_shows_every_sample_once() -> None:
    seen = torch.cat([order(0, update, 32, 100) for update in range(25)])
    for epoch in range(8):
        assert sorted(seen[epoch * 100 : (epoch + 1) * 100].tolist()) == list(range(100))
    assert seen[:100].tolist() != seen[100:200].tolist()


def test_half_of_the_images_are_mirrored_and_nothing_else_changes() -> None:
    images = torch.arange(8.0).reshape(1, 1, 2, 4).expand(100, -1, -1, -1)
    plain, mirrored = (FreshNoise(images, 0, flip=flip).batch(3, 64) for flip in (False, True))
    turned = (mirrored.data == plain.data.flip(-1)).flatten(1).all(1)
    same = (mirrored.data == plain.data).flatten(1).all(1)
    assert torch.equal(turned, ~same)
    assert 16 < int(turned.sum()) < 48
    assert torch.equal(mirrored.noise, plain.noise)
    other = FreshNoise(images, 0, flip=True).batch(4, 64)
    assert not torch.equal(other.data, mirrored.data)


def test_order_noise_and_times_are_keyed_by_seed() -> None:
    first, again, other = (FreshNoise(data(), seed).batch(7, 32) for seed in (0, 0, 1))
    assert torch.equal(first.noise, again.noise)
    assert torch.equal(first.data, again.data)
    assert not torch.equal(first.noise, other.noise)
    assert not torch.equal(first.data, other.data)
    assert torch.equal(uniforms(0, 7), uniforms(0, 7))
    assert not torch.equal(uniforms(0, 7), uniforms(1, 7))
    assert not torch.equal(uniforms(0, 7), uniforms(0, 7, "interval"))


def test_times_are_stratified() -> None:
    u = uniforms(3, 5).sort().values
    assert torch.equal((u * 32).long(), torch.arange(32))


def drawn_by(formulation: str, updates: int = 60) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Data (in order) and noise (as a sorted multiset) that the first stage consumes."""
    module = formulation_module(formulation)
    stage = module.formulation(module.Options()).stages[0]
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    inner = stage.objective.build(
        time_sampling=stage.time_sampling.build(), weighting=stage.weighting.build()
    )

    def spy(model: PathModel, pair: Pair, draws: Draws, progress: float) -> torch.Tensor:
        seen.append((pair.data.clone(), pair.noise.flatten().sort().values))
        loss: torch.Tensor = inner(model, pair, draws, progress)
        return loss

    network = build_network(
        "residual_mlp",
        (2,),
        {"width": 8, "depth": 1, "embedding": 4},
        0,
        conditions=CONDITIONS[stage.condition],
    )
    running = trainer(
        model=PathModel(network, stage.path.build(), stage.prediction, 1.0, stage.condition),
        objective=spy,
        coupling=stage.coupling.build(),
    )
    running.rehearse(updates)
    return seen


@pytest.mark.parametrize("other", [n for n in discover("formulations") if n != "flow_matching"])
def test_formulations_share_data_order_and_noise(other: str) -> None:
    for one, two in zip(drawn_by("flow_matching", 5), drawn_by(other, 5), strict=True):
        assert torch.equal(one[0], two[0])
        assert torch.equal(one[1], two[1])


def test_stored_pairs_stay_pairs() -> None:
    noise = torch.arange(100.0).reshape(50, 2)
    pair = StoredPairs(noise, noise + 1000, 0).batch(3, 16)
    assert torch.equal(pair.data, pair.noise + 1000)


def test_schedule_warms_up_and_falls_to_zero() -> None:
    rates = [_schedule(update, 200, 0.1) for update in range(200)]
    assert rates[0] == pytest.approx(1 / 20)
    assert max(rates) == 1.0
    assert rates.index(1.0) == 19
    assert rates[-1] < 1e-3
    assert all(a >= b for a, b in itertools.pairwise(rates[20:]))


def test_moving_average_has_its_half_life() -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(network.weight)
    average = MovingAverage(network)
    torch.nn.init.ones_(network.weight)
    for _ in range(10):
        average.update(0.5 ** (1 / 10))
    average.copy_to(network)
    assert float(network.weight.detach()) == pytest.approx(0.5)


def test_initial_weights_depend_on_the_seed_alone() -> None:
    options = {"width": 8, "depth": 1, "embedding": 4}

    def first(seed: int) -> torch.Tensor:
        return next(build_network("residual_mlp", (2,), options, seed).parameters()).detach()

    before = torch.random.get_rng_state()
    one, other = first(0), first(1)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(3)
    assert torch.equal(first(0), one)
    assert not torch.equal(one, other)


def test_the_optimiser_is_adamw() -> None:
    ours, theirs = (torch.nn.Parameter(torch.linspace(-1, 1, 7)) for _ in range(2))
    optimiser = AdamW([ours])
    reference = torch.optim.AdamW([theirs], lr=1.0, weight_decay=0.0)
    for step in range(20):
        rate = 0.01 * (step + 1)
        for parameter in (ours, theirs):
            parameter.grad = torch.sin(parameter.detach() * (step + 1))
        reference.param_groups[0]["lr"] = rate
        reference.step()
        optimiser.step(rate)
    assert ours.grad is None
    torch.testing.assert_close(ours.detach(), theirs.detach(), rtol=1e-6, atol=1e-6)
