"""The mixture fitted to the digits is a good model of unseen digits, with plausible labels."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from bench.data.dataset import DataSet
from bench.data.mixture import GaussianMixture
from bench.data.sources.digits_mixture import Options, mixture


@pytest.fixture
def images(real_data: Callable[[str], DataSet]) -> DataSet:
    return real_data("digits_mixture")


@pytest.fixture
def unseen(real_data: Callable[[str], DataSet]) -> Tensor:
    """Real digits that were not fitted."""
    return real_data("digits").held_out.flatten(1).double()


def law(dataset: DataSet) -> GaussianMixture:
    assert dataset.mixture is not None
    return dataset.mixture


def test_unseen_digits_are_far_likelier_than_under_one_gaussian(
    images: DataSet, unseen: Tensor, real_data: Callable[[str], DataSet]
) -> None:
    real = real_data("digits").train.flatten(1).double()
    variances, axes = torch.linalg.eigh(real.T.cov(correction=0))
    single = GaussianMixture(
        torch.ones(1),
        real.mean(0, keepdim=True),
        (axes * variances.clamp(min=Options().floor) @ axes.T)[None],
    )
    ours = law(images).log_density(unseen).mean().item()
    assert ours == pytest.approx(9.4, abs=0.1)
    assert ours > single.log_density(unseen).mean().item() + 10


@pytest.mark.parametrize(
    "worse", [{"components": 1}, {"rank": 16}, {"shrinkage": 0.0}, {"shrinkage": 500.0}]
)
def test_the_defaults_beat_their_neighbours_on_unseen_digits(
    images: DataSet, unseen: Tensor, worse: dict[str, float]
) -> None:
    other = mixture(Options(**worse)).log_density(unseen).mean()
    assert law(images).log_density(unseen).mean() > other + 0.2


def test_the_class_of_unseen_digits_is_read_off_the_mixture(
    images: DataSet, unseen: Tensor, real_data: Callable[[str], DataSet]
) -> None:
    labels = law(images).labels
    assert labels is not None
    members = torch.nn.functional.one_hot(labels).double()
    guess = (law(images).responsibilities(unseen) @ members).argmax(dim=1)
    assert (guess == real_data("digits").held_out_labels).float().mean() > 0.98


def test_classes_weigh_as_much_as_their_images(
    images: DataSet, real_data: Callable[[str], DataSet]
) -> None:
    real = real_data("digits").train_labels
    assert real is not None
    assert images.train_labels is not None
    expected = real.bincount() / len(real)
    share = images.train_labels.bincount() / len(images.train_labels)
    torch.testing.assert_close(share, expected, rtol=0, atol=0.01)


def test_images_have_the_moments_of_real_digits(
    images: DataSet, real_data: Callable[[str], DataSet]
) -> None:
    real, ours = real_data("digits").train.flatten(1), images.train.flatten(1)
    torch.testing.assert_close(ours.mean(0), real.mean(0), rtol=0, atol=0.03)
    assert torch.corrcoef(torch.stack([ours.T.cov().ravel(), real.T.cov().ravel()]))[0, 1] > 0.98


def test_images_are_shown_in_256_greys(images: DataSet) -> None:
    shown = images.to_uint8(images.train[:100])
    assert shown.shape == (100, 3, 8, 8)
    assert shown.dtype == torch.uint8
    assert (shown.min(), shown.max()) == (0, 255)
    middle = images.train[:100].abs() < 1
    exact = (images.train[:100] + 1) * 127.5
    assert ((shown[:, :1].float() - exact)[middle].abs() <= 0.501).all()


@pytest.mark.parametrize("wrong", [{"components": 0}, {"rank": 64}, {"floor": 0}, {"modes": 8}])
def test_fits_that_are_none_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Options(**wrong)
