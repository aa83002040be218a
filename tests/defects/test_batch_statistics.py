"""Defect: a network that normalises over the batch, so that a sample depends on the others."""

from __future__ import annotations

import pytest
from torch import nn

from bench.models.networks import unet
from tests.contracts import test_networks as contract


def test_the_contract_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unet, "_norm", nn.BatchNorm2d)
    with pytest.raises(AssertionError):
        contract.test_a_sample_does_not_see_the_others(contract.awakened("unet"))
