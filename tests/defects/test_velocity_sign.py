"""Defect: a path whose velocity points the wrong way."""

from __future__ import annotations

import pytest
from torch import Tensor

from bench.formulations.grammar import path as declare
from bench.models.paths import Path
from bench.registry import discover
from tests.contracts import test_paths as contract


class Reversed(Path):
    """A path with the sign of its derivatives turned round."""

    def __init__(self, honest: Path) -> None:
        self._honest = honest
        self.interval = honest.interval

    def at(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        alpha, sigma, d_alpha, d_sigma = self._honest.at(t)
        return alpha, sigma, -d_alpha, -d_sigma

    def t_of_log_snr(self, log_snr: Tensor) -> Tensor:
        return self._honest.t_of_log_snr(log_snr)


@pytest.mark.parametrize("name", discover("paths"))
def test_the_contracts_see_it(name: str) -> None:
    planted = Reversed(declare(name).build())
    with pytest.raises(AssertionError):
        contract.test_derivatives_are_those_of_the_coefficients(planted)
    with pytest.raises(AssertionError):
        contract.test_the_exact_velocity_recovers_the_data(planted)
