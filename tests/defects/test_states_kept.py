"""Defect: a solver that keeps the state of every interval to return the last one."""

from __future__ import annotations

import pytest
from torch import Tensor

from bench.sampling.solvers import ode
from bench.sampling.solvers.catalogue import SOLVERS
from tests.contracts import test_solvers as contract


def test_the_contract_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def keeps_all(field: ode.Field, start: Tensor, times: Tensor, method: str) -> Tensor:
        return ode.solve_dense(field, start, times, method)[-1]

    monkeypatch.setattr(ode, "solve_fixed", keeps_all)
    with pytest.raises(AssertionError):
        contract.check_memory(SOLVERS["euler"])
