"""Defect: a solver that takes one interval more than it was asked for."""

from __future__ import annotations

import dataclasses

import pytest

from bench.sampling.solvers.catalogue import Solver
from tests.contracts import test_solvers as contract


@dataclasses.dataclass(frozen=True)
class OneMore(Solver):
    """A declaration whose intervals are one too many."""

    def intervals_for(self, nfe: int, evaluations: int = 1) -> int:
        return super().intervals_for(nfe, evaluations) + 1


@pytest.mark.parametrize("declared", contract.COUNTED, ids=lambda s: s.name)
def test_the_contract_sees_it(declared: Solver) -> None:
    planted = OneMore(**vars(declared))
    with pytest.raises(AssertionError):
        contract.check_nfe(planted, declared.spends(8), batch_size=10)
