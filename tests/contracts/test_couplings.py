"""Every coupling: it re-pairs noise and leaves the data, by its generator alone."""

from __future__ import annotations

import itertools

import pytest
import torch

from bench.couplings import Coupling, Pair
from bench.declarations import coupling as declare
from bench.declarations import discover


def batch(size: int = 96, seed: int = 0) -> Pair:
    generator = torch.Generator().manual_seed(seed)
    return Pair(
        torch.randn(size, 1, 2, 2, generator=generator),
        torch.randn(size, 1, 2, 2, generator=generator) + 1,
    )


@pytest.fixture(params=discover("couplings"))
def coupling(request: pytest.FixtureRequest) -> Coupling:
    built: Coupling = declare(request.param).build()
    return built


def test_data_keep_their_order(coupling: Coupling) -> None:
    pair = batch()
    coupled = coupling(pair, torch.Generator().manual_seed(1))
    assert torch.equal(coupled.data, pair.data)


def test_noise_is_permuted_never_drawn_or_lost(coupling: Coupling) -> None:
    pair = batch()
    coupled = coupling(pair, torch.Generator().manual_seed(1))
    before = sorted(row.numpy().tobytes() for row in pair.noise)
    assert sorted(row.numpy().tobytes() for row in coupled.noise) == before


def test_only_the_generator_decides(coupling: Coupling) -> None:
    torch.default_generator.seed()
    first = coupling(batch(), torch.Generator().manual_seed(3))
    torch.default_generator.seed()
    second = coupling(batch(), torch.Generator().manual_seed(3))
    assert torch.equal(first.noise, second.noise)


def test_minibatch_ot_finds_the_optimum() -> None:
    pair = batch(size=6)
    coupled = declare("minibatch_ot", block=6).build()(pair, torch.Generator())

    def cost(noise: torch.Tensor) -> float:
        return float((noise - pair.data).square().sum())

    best = min(cost(pair.noise[list(p)]) for p in itertools.permutations(range(6)))
    assert cost(coupled.noise) == pytest.approx(best, rel=1e-6)
    assert best < cost(pair.noise)


def test_minibatch_ot_assigns_within_blocks() -> None:
    pair = batch(size=12)
    coupled = declare("minibatch_ot", block=4).build()(pair, torch.Generator())
    for low in (0, 4, 8):
        before = {row.numpy().tobytes() for row in pair.noise[low : low + 4]}
        assert {row.numpy().tobytes() for row in coupled.noise[low : low + 4]} == before
