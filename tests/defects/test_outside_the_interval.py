"""Defect: an adaptive solver that steps past the end and interpolates back, as torchdiffeq does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchdiffeq import odeint

from bench.models.paths.linear import Linear
from bench.sampling.solvers import ode
from bench.sampling.solvers.catalogue import SOLVERS
from tests.contracts import test_solvers as contract


def test_the_contract_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def past_the_end(
        field: ode.Field,
        start: Tensor,
        interval: tuple[float, float],
        method: str,
        tolerance: float,
    ) -> Tensor:
        times = torch.tensor(interval, dtype=torch.float64)
        states: Tensor = odeint(
            lambda t, x: field(x, t.double().expand(len(x))),
            start,
            times,
            method=method,
            rtol=tolerance,
            atol=tolerance,
        )
        return states[-1]

    monkeypatch.setattr(ode, "solve_adaptive", past_the_end)
    with pytest.raises(AssertionError):
        contract.check_inside(SOLVERS["dopri5"], Linear())
