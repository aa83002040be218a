"""Defect: a solver that takes one interval more than it was asked for."""

from __future__ import annotations

import dataclasses

import pytest

from bench.solvers.catalogue import SOLVERS, Solver
from tests.contracts import test_solvers as contract


@dataclasses.dataclass(frozen=True)
class OneMore(Solver):
    """A declaration whose intervals are one too many."""

    def intervals_for(self, nfe: int, evaluations: int = 1) -> int:
        return super().intervals_for(nfe, evaluations) + 1


@pytest.mark.parametrize("name", [s.name for s in SOLVERS.values() if s.stages])
def test_the_contract_sees_it(name: str) -> None:
    planted = OneMore(**dataclasses.asdict(SOLVERS[name]))
    with pytest.raises(AssertionError):
        contract.check_nfe(planted, 8, batch_size=10)
