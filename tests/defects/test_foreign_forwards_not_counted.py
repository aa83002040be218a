"""Defect: an evaluation of somebody else's function counts one, however often it asks."""

from __future__ import annotations

import pytest

from bench.models.adapters import ForeignModel
from tests.models.adapters import test_base as contract


def test_the_contract_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    network = contract.Net()
    model = contract.made(contract.guided(network))
    calls = contract.counting(network)
    contract.check_nfe(model, calls, 6)
    monkeypatch.setattr(ForeignModel, "evaluations", 1)
    with pytest.raises(AssertionError):
        contract.check_nfe(model, calls, 6)
