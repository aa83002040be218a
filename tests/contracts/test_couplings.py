"""Every coupling: it re-pairs noise and leaves data and labels, by its generator alone."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.formulations.grammar import coupling as declare
from bench.registry import discover
from bench.training.couplings import Coupling, Pair

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in discover("couplings")),
    ("minibatch_ot", {"block": 40}),
    ("minibatch_ot", {"block": 200}),
]


def batch(size: int = 96, seed: int = 0) -> Pair:
    generator = torch.Generator().manual_seed(seed)
    return Pair(
        torch.randn(size, 1, 2, 2, generator=generator),
        torch.randn(size, 1, 2, 2, generator=generator) + 1,
        torch.randint(10, (size,), generator=generator),
    )


def rows(noise: Tensor) -> list[bytes]:
    return sorted(row.numpy().tobytes() for row in noise)


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=VARIANTS, ids=lambda variant: declare(variant[0], **variant[1]).describe())
def variant(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    chosen: tuple[str, dict[str, Any]] = request.param
    return chosen


@pytest.fixture
def coupling(variant: tuple[str, dict[str, Any]]) -> Coupling:
    name, options = variant
    built: Coupling = declare(name, **options).build()
    return built


def test_data_and_labels_keep_their_order(coupling: Coupling) -> None:
    pair = batch()
    assert pair.label is not None
    coupled = coupling(pair, generator())
    assert coupled.label is not None
    assert torch.equal(coupled.data, pair.data)
    assert torch.equal(coupled.label, pair.label)


@pytest.mark.parametrize("size", [1, 7])
def test_a_small_batch_is_paired_with_its_own_noise(coupling: Coupling, size: int) -> None:
    pair = batch(size)
    coupled = coupling(pair, generator())
    assert (coupled.noise.shape, coupled.noise.dtype) == (pair.noise.shape, pair.noise.dtype)
    assert torch.equal(coupled.data, pair.data)
    assert set(rows(coupled.noise)) <= set(rows(pair.noise))


def test_labels_change_nothing_and_need_not_be_there(coupling: Coupling) -> None:
    with_labels, without = batch(), batch()._replace(label=None)
    coupled = coupling(without, generator())
    assert coupled.label is None
    assert torch.equal(coupled.noise, coupling(with_labels, generator()).noise)


def test_noise_is_that_of_the_batch_and_none_is_lost(coupling: Coupling) -> None:
    pair = batch()
    assert rows(coupling(pair, generator()).noise) == rows(pair.noise)


def test_the_batch_itself_is_left_alone(coupling: Coupling) -> None:
    pair = batch()
    coupling(pair, generator())
    assert all(torch.equal(now, then) for now, then in zip(pair, batch(), strict=True))


def test_only_the_generator_decides(coupling: Coupling) -> None:
    torch.default_generator.seed()
    first = coupling(batch(), generator(3))
    torch.default_generator.seed()
    second = coupling(batch(), generator(3))
    assert torch.equal(first.noise, second.noise)


def test_minibatch_ot_finds_the_optimum() -> None:
    pair = batch(size=6)
    coupled = declare("minibatch_ot", block=6).build()(pair, generator())

    def cost(noise: Tensor) -> float:
        return float((noise - pair.data).square().sum())

    best = min(cost(pair.noise[list(p)]) for p in itertools.permutations(range(6)))
    assert cost(coupled.noise) == pytest.approx(best, rel=1e-6)
    assert best < cost(pair.noise)


def test_minibatch_ot_stays_within_blocks() -> None:
    """A batch of 30 in blocks of 8: three blocks, and one of the six samples left over."""
    pair = batch(size=30)
    coupled = declare("minibatch_ot", block=8).build()(pair, generator())
    for block in (slice(0, 8), slice(8, 16), slice(16, 24), slice(24, 30)):
        alone = Pair(pair.noise[block], pair.data[block])
        assert set(rows(coupled.noise[block])) <= set(rows(alone.noise))
        assert not torch.equal(coupled.noise[block], alone.noise)
        best = declare("minibatch_ot", block=8).build()(alone, generator())
        assert torch.equal(coupled.noise[block], best.noise)


def test_a_bad_option_is_named_in_one_line() -> None:
    with pytest.raises(ValueError, match="need block >= 2, got block=1") as caught:
        declare("minibatch_ot", block=1).build()
    assert "\n" not in str(caught.value)
