"""Defects: an objective that returns a mean, sorted losses, or silently couples its samples.

The gradient of a mean would be divided by the batch a second time, and change with its parts.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.models.path_model import PathModel
from bench.streams import Draws
from bench.training.couplings import Pair
from bench.training.objectives import Objective
from tests.contracts import test_objectives as contract


class Planted(Objective):
    """An objective whose losses become their mean, as one number or as one for each sample."""

    def __init__(self, honest: Objective, spread: bool) -> None:
        self.honest = honest
        self.spread = spread
        self.teacher = honest.teacher

    def __call__(self, model: PathModel, pair: Pair, draws: Draws, progress: float) -> Tensor:
        loss = self.honest(model, pair, draws, progress)
        return loss.mean().expand(len(loss)) if self.spread else loss.mean()


@pytest.mark.parametrize("case", contract.CASES.values(), ids=contract.CASES)
def test_a_mean_is_seen(case: contract.Case) -> None:
    contract.check_shape(case.objective(), case.model(), 0.5)
    with pytest.raises(AssertionError):
        contract.check_shape(Planted(case.objective(), spread=False), case.model(), 0.5)


@pytest.mark.parametrize("case", contract.CASES.values(), ids=contract.CASES)
def test_a_mean_in_every_place_is_seen(case: contract.Case) -> None:
    for check in (contract.check_parts, contract.check_own_pair):
        check(case.objective(), case.model())
        with pytest.raises(AssertionError):
            check(Planted(case.objective(), spread=True), case.model())


class Coupled(Planted):
    """Losses less the mean of their batch, as contrastive objectives have."""

    def __call__(self, model: PathModel, pair: Pair, draws: Draws, progress: float) -> Tensor:
        loss = self.honest(model, pair, draws, progress)
        return torch.relu(loss - loss.mean())


def test_samples_that_are_coupled_in_silence_are_seen() -> None:
    case = contract.CASES["flow_matching-train"]
    planted = Coupled(case.objective(), spread=True)
    for check in (contract.check_parts, contract.check_own_pair):
        with pytest.raises(AssertionError):
            check(planted, case.model())
    planted.couples_samples = True
    contract.check_own_pair(planted, case.model())


class Sorted(Planted):
    """The losses of the batch, in the places of other samples."""

    def __call__(self, model: PathModel, pair: Pair, draws: Draws, progress: float) -> Tensor:
        return self.honest(model, pair, draws, progress).sort().values


def test_losses_in_the_wrong_places_are_seen() -> None:
    case = contract.CASES["flow_matching-train"]
    contract.check_order(case.objective(), case.model())
    with pytest.raises(AssertionError):
        contract.check_order(Sorted(case.objective(), spread=True), case.model())
