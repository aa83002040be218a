"""Copies are not authentic, unseen images mostly are, and neighbours are found by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch

from bench.data.dataset import DataSet
from bench.metrics.context import Context, References, Settings
from bench.metrics.measures import memorisation
from bench.metrics.measures.authenticity import compute, own_gaps
from bench.metrics.measures.memorisation import distances
from bench.streams import stream

SETTINGS = Settings(block=100, kid_subsets=1, kid_subset_size=50, neighbours=3)


@pytest.fixture
def digits(real_data: Callable[[str], DataSet]) -> DataSet:
    return real_data("digits")


def authenticity(dataset: DataSet, samples: torch.Tensor, *, flip: bool = False) -> float | None:
    settings = dataclasses.replace(SETTINGS, flip=flip)
    (measured,) = compute(Context(samples, References(dataset, settings)))
    assert measured.reference_set == "train"
    return measured.value


def test_a_large_set_is_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.randint(0, 17, (50, 6), generator=stream("parts")).float()
    whole = own_gaps(images)
    ((_, squared),) = distances(images, images)
    monkeypatch.setattr(memorisation, "AT_ONCE", 7 * 50 + 3)
    found = list(distances(images, images))
    assert [first for first, _ in found] == list(range(0, 50, 7))
    assert torch.cat([part for _, part in found]).equal(squared)
    assert own_gaps(images).equal(whole)


def test_gaps_are_to_the_nearest_other_image() -> None:
    points = torch.tensor([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0], [20.0, 0.0]])
    assert own_gaps(points).tolist() == [25, 1, 1, 305]


def test_a_mirror_image_is_no_neighbour_of_its_own_original() -> None:
    images = torch.tensor([[0.0, 3.0], [1.0, 1.0], [9.0, 0.0]])
    assert own_gaps(images).tolist() == [5, 5, 65]
    assert own_gaps(images, images.flip(-1)).tolist() == [5, 5, 36]


def test_mirrored_copies_are_no_more_authentic_where_training_mirrored(digits: DataSet) -> None:
    mirrored = digits.train[:500].flip(-1)
    assert authenticity(digits, mirrored) > 0.5
    assert authenticity(digits, mirrored, flip=True) == 0


def test_copies_score_zero_and_noise_one(digits: DataSet) -> None:
    assert authenticity(digits, digits.train[:500]) == 0
    noise = torch.rand(300, 1, 8, 8, generator=stream("noise")) * 2 - 1
    assert authenticity(digits, noise) == 1


def test_unseen_images_score_as_training_images_do_among_themselves(digits: DataSet) -> None:
    """Halves of one population, each way round."""
    one, other = digits.train[:600], digits.train[600:]
    there = authenticity(dataclasses.replace(digits, train=one), other)
    back = authenticity(dataclasses.replace(digits, train=other), one)
    assert there == pytest.approx(back, abs=0.06)
    assert 0.4 < there < 0.8
