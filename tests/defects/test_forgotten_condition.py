"""Defect: a network that is not told of time and class, or that is not silent at first."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.models.networks import dit
from bench.models.networks._base import Embedding, Passed
from tests.contracts import test_networks as contract


def test_the_contract_sees_a_condition_that_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def deaf(embedding: Embedding, condition: Tensor, label: Tensor | None) -> Tensor:
        return torch.zeros(len(condition), embedding.time[1].out_features)

    monkeypatch.setattr(Embedding, "forward", deaf)
    with pytest.raises(AssertionError):
        contract.test_state_times_and_class_reach_the_output(contract.awakened("dit"))


def test_the_contract_sees_an_input_path_that_starts_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_path(path: Passed, output: Tensor, x: Tensor, embedded: Tensor) -> Tensor:
        return output + x

    monkeypatch.setattr(dit.Passed, "forward", open_path)
    with pytest.raises(AssertionError):
        contract.test_an_untrained_network_outputs_zero("dit", (1, 8, 8))
