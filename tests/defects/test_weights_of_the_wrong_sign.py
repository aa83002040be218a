"""Defects: a weighting of the wrong sign, or one that ignores the noise level."""

from __future__ import annotations

import pytest
from torch import Tensor

from bench.formulations.grammar import weighting
from bench.models.paths import PathCoefficients
from bench.registry import discover
from bench.training.weightings import Weighting
from tests.contracts import test_weightings as contract


@pytest.mark.parametrize("name", discover("weightings"))
def test_a_wrong_sign_is_seen(name: str) -> None:
    honest: Weighting = weighting(name).build()

    def planted(c: PathCoefficients, gain: Tensor, gap: Tensor | None = None) -> Tensor:
        return -honest(c, gain, gap)

    contract.check_weights(honest, "vp", "v")
    with pytest.raises(AssertionError):
        contract.check_weights(planted, "vp", "v")


@pytest.mark.parametrize("name", contract.ON_DATA)
def test_a_weighting_that_ignores_the_level_is_seen(name: str) -> None:
    def planted(c: PathCoefficients, gain: Tensor, gap: Tensor | None = None) -> Tensor:
        return gain.square()

    contract.check_on_data(weighting(name).build(), contract.ON_DATA[name], "noise")
    with pytest.raises(AssertionError):
        contract.check_on_data(planted, contract.ON_DATA[name], "noise")


def test_one_weight_for_the_whole_batch_is_seen() -> None:
    def planted(c: PathCoefficients, gain: Tensor, gap: Tensor | None = None) -> Tensor:
        return gain.square().mean()

    with pytest.raises(AssertionError):
        contract.check_weights(planted, "vp", "v")
