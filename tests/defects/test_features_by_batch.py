"""Defect: features that depend on what else is in the batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.metrics.extractors.random_conv import RandomConvolutions
from tests.metrics.extractors import test_pipeline as contract


def test_the_contract_sees_a_network_in_training_mode() -> None:
    class Normalised(RandomConvolutions):
        def features(self, images: Tensor) -> Tensor:
            found = super().features(images)
            return found - found.mean(dim=0)

    with pytest.raises(AssertionError):
        contract.check_batching(Normalised())


def test_the_contract_sees_a_batch_that_is_not_filled_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counting(RandomConvolutions):
        def features(self, images: Tensor) -> Tensor:
            return super().features(images) + torch.tensor(float(len(images)))

    contract.check_batching(Counting())
    monkeypatch.setattr(contract, "extract", lambda network, images: network.features(images))
    with pytest.raises(AssertionError):
        contract.check_batching(Counting())
