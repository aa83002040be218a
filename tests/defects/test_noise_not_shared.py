"""Defect: noise that depends on how many samples are drawn, or on the formulation."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from bench.training.batches import FreshNoise
from bench.training.couplings import Pair
from tests.sampling import test_sample as test_sampling
from tests.training import test_loop as test_training


def test_a_bank_drawn_in_one_piece_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def planted(seed: int, bank: str, count: int, shape: Sequence[int]) -> torch.Tensor:
        return torch.randn(*shape, count, generator=torch.Generator().manual_seed(seed)).movedim(
            -1, 0
        )

    monkeypatch.setattr(test_sampling, "starting_noise", planted)
    with pytest.raises(AssertionError):
        test_sampling.test_noise_of_a_sample_does_not_depend_on_how_many_are_drawn()


def test_training_noise_of_its_own_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = torch.Generator().manual_seed(0)
    honest = FreshNoise.batch

    def planted(self: FreshNoise, update: int, size: int) -> Pair:
        pair = honest(self, update, size)
        return pair._replace(noise=torch.randn(pair.noise.shape, generator=drawn))

    monkeypatch.setattr(FreshNoise, "batch", planted)
    with pytest.raises(AssertionError):
        test_training.test_formulations_share_data_order_and_noise("vp_diffusion")
