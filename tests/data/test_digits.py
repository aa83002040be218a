"""The split of scikit-learn's digits, and the way from model units to pixels and back."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import sklearn.datasets
import torch

from bench.data.dataset import DataSet
from bench.data.sources.digits import Options, build
from bench.errors import InputError


@pytest.fixture
def digits(real_data: Callable[[str], DataSet]) -> DataSet:
    return real_data("digits")


def test_the_parts_are_scikit_learns_images_each_once(digits: DataSet) -> None:
    source = sklearn.datasets.load_digits()
    assert (len(digits.train), len(digits.held_out)) == (1200, 597)
    pixels = digits.to_levels(torch.cat([digits.train, digits.held_out])).flatten(1).numpy()
    labels = torch.cat([digits.train_labels, digits.held_out_labels]).numpy()
    ours = np.column_stack([pixels, labels])
    theirs = np.column_stack([source.data, source.target])
    assert np.array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])


def test_uint8_images_have_three_equal_channels_of_the_right_grey(digits: DataSet) -> None:
    images = digits.to_uint8(digits.held_out)
    levels = digits.to_levels(digits.held_out)
    assert images.shape == (597, 3, 8, 8)
    assert images.dtype == torch.uint8
    assert torch.equal(images[:, 0], images[:, 2])
    assert torch.equal(images[:, :1].float(), (levels * 255 / 16).round())
    assert images.unique().numel() == 17


def test_outputs_beyond_black_and_white_are_clipped(digits: DataSet) -> None:
    wild = torch.tensor([-3.0, -1.06, -0.95, 0.01, 0.93, 1.2]).reshape(1, 1, 2, 3)
    nearest = torch.tensor([-1.0, -1.0, -1.0, 0.0, 0.875, 1.0]).reshape(1, 1, 2, 3)
    assert torch.equal(digits.quantise(wild), nearest)


def test_other_images_under_the_same_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    source = sklearn.datasets.load_digits()
    images = source.images.copy()
    images[0, 0, 0] += 1
    changed = SimpleNamespace(images=images, target=source.target)
    monkeypatch.setattr(sklearn.datasets, "load_digits", lambda: changed)
    with pytest.raises(InputError, match="not those known"):
        build(Options())
