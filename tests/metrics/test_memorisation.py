"""0.5 for what was never seen, 1 for copies, whatever the sizes of the sets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bench.data.dataset import DataSet
from bench.metrics.context import Context, References, Settings
from bench.metrics.measures.memorisation import compute
from bench.streams import stream

SETTINGS = Settings(block=100, kid_subsets=1, kid_subset_size=50, neighbours=3)


def memorisation(dataset: DataSet, samples: Tensor, *, flip: bool = False) -> float:
    settings = dataclasses.replace(SETTINGS, flip=flip)
    (measured,) = compute(Context(samples, References(dataset, settings)))
    return measured.value


@pytest.fixture
def digits(real_data: Callable[[str], DataSet]) -> DataSet:
    return real_data("digits")


def test_copies_of_training_images_score_one(digits: DataSet) -> None:
    assert memorisation(digits, digits.train) == 1
    slightly = digits.train + 0.03 * torch.randn(digits.train.shape, generator=stream("slightly"))
    assert memorisation(digits, slightly) > 0.99


def test_mirrored_copies_are_copies_where_training_mirrored(digits: DataSet) -> None:
    mirrored = digits.train.flip(-1)
    assert memorisation(digits, mirrored) < 0.7
    assert memorisation(digits, mirrored, flip=True) == 1
    assert memorisation(digits, digits.train, flip=True) == 1


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("trained", [900, 500, 300])
def test_images_that_neither_set_holds_score_one_half(
    digits: DataSet, trained: int, flip: bool
) -> None:
    """Real digits left out of both sets, for several shares of training images."""
    fresh, rest = digits.held_out[:500], digits.held_out[500:]
    population = torch.cat([digits.train, rest])
    split = dataclasses.replace(digits, train=population[:trained], held_out=population[trained:])
    assert memorisation(split, fresh, flip=flip) == pytest.approx(0.5, abs=0.06)


def test_a_tie_counts_one_half(digits: DataSet) -> None:
    same = dataclasses.replace(digits, held_out=digits.train)
    assert memorisation(same, digits.train[:200]) == 0.5
