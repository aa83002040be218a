"""Defect: a derivative that also multiplies by the zero tangents of weights, and is charged so."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from bench.training.objectives import _derivative
from tests.contracts import test_networks as contract


@pytest.mark.parametrize("kind", contract.NETWORKS)
def test_a_third_product_of_a_layer_is_seen(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    contract.check_products_of_a_derivative(contract.awakened(kind))
    monkeypatch.setattr(_derivative, "ConstantWeights", nullcontext)
    with pytest.raises(AssertionError):
        contract.check_products_of_a_derivative(contract.awakened(kind))
