"""A Gaussian mixture fitted to the handwritten digits: images whose law is known exactly.

Each class of the 1,200 training images of ``digits`` is a mixture of its own, fitted by expectation
maximisation within the class (mixtures of probabilistic principal component analysers: Tipping and
Bishop, 1999, https://doi.org/10.1162/089976699300016728); a class weighs as much as its images.
A component keeps the leading axes of its covariance; the variance beyond them is one number, at
least ``floor``. A component has few images, so its covariance is averaged with that of its class,
as if ``shrinkage`` further images had the latter.

The defaults were chosen by the mean log density of the 597 held-out digits, in nats an image:
9.4, against -2.6 of one Gaussian for all classes with the same floor. One component a class gives
7.7, three give 9.9, 16 axes -1.3, 40 axes 10.9; without shrinkage it is 5.7. Three components or
40 axes cost half as much again at every evaluation. The floor is set, not fitted, for pixels that
are black in every image would drive it to zero: its standard deviation, 0.1, is less than one grey
level of the digits. Samples are continuous and lie on both sides of black and white.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from bench.data.dataset import DataOptions, Description
from bench.data.endless import UNLIMITED, TrainingSamples
from bench.data.sources import digits

if TYPE_CHECKING:
    from torch import Tensor

    from bench.data.dataset import DataSet
    from bench.data.mixture import GaussianMixture

ITERATIONS = 20


class Options(DataOptions):
    """The form of the mixture, and how many images are drawn.

    Attributes:
        components: Gaussians a class.
        rank: axes of a component with a variance of their own.
        floor: least variance in every direction.
        shrinkage: weight of the class's covariance in a component's, in images.
        train, held_out: images drawn; ``unlimited`` training draws new ones for every update.
    """

    components: int = Field(default=2, ge=1)
    rank: int = Field(default=32, ge=1, le=63)
    floor: float = Field(default=0.01, gt=0)
    shrinkage: float = Field(default=50.0, ge=0)
    train: TrainingSamples = 20_000
    held_out: int = Field(default=20_000, ge=2)


def describe(options: Options) -> Description:
    """Continuous images of the ten digits, of a known law."""
    return Description(
        title="Digits mixture 8x8",
        kind="image",
        shape=digits.SHAPE,
        primary="mmd",
        classes=digits.CLASSES,
        exact=True,
        unlimited=options.train == UNLIMITED,
    )


def mixture(options: Options) -> GaussianMixture:
    """The law of the data: the fit itself, the same for every seed."""
    real = digits.build(digits.Options())
    labels = real.train_labels
    assert labels is not None
    images = real.train.flatten(1).double()
    law = _maximised(images, _clusters(images, labels, options.components), options)
    for _ in range(ITERATIONS):
        law = _maximised(images, law.given(labels).responsibilities(images), options)
    return law


def build(options: Options) -> DataSet:
    """Fit the law and draw the training and the held-out images."""
    from bench.data.dataset import drawn

    counts = options.train, options.held_out
    return drawn("digits_mixture", describe(options), mixture(options), counts)


def _clusters(images: Tensor, labels: Tensor, components: int) -> Tensor:
    """Responsibilities ``[n, k]`` to start from, zero or one: k-means within each class."""
    import torch
    from sklearn.cluster import KMeans

    start = images.new_zeros(len(images), digits.CLASSES * components)
    for label in range(digits.CLASSES):
        members = (labels == label).nonzero().squeeze(1)
        clusters = KMeans(components, n_init=10, random_state=0).fit_predict(
            images[members].numpy()
        )
        start[members, label * components + torch.from_numpy(clusters).long()] = 1
    return start


def _maximised(images: Tensor, g: Tensor, options: Options) -> GaussianMixture:
    """The mixture that maximises the likelihood under responsibilities ``g [n, k]``, shrunk."""
    import torch

    from bench.data.mixture import GaussianMixture

    count = g.sum(dim=0)
    means = (g.T @ images) / count[:, None]
    centred = images - means[:, None, :]
    scatter = (g.T[:, :, None] * centred).mT @ centred
    by_class = (digits.CLASSES, options.components)
    within = (
        scatter.unflatten(0, by_class).sum(1) / count.unflatten(0, by_class).sum(1)[:, None, None]
    )
    scatter += options.shrinkage * within.repeat_interleave(options.components, dim=0)
    variances, axes = torch.linalg.eigh(scatter / (count + options.shrinkage)[:, None, None])
    noise = variances[:, : -options.rank].mean(dim=1).clamp(min=options.floor)
    # Of Tipping and Bishop's form: a variance below the noise's is left to the noise.
    scale = (variances[:, -options.rank :] - noise[:, None]).clamp(min=0).sqrt()
    return GaussianMixture.low_rank(
        count / count.sum(),
        means,
        axes[:, :, -options.rank :] * scale[:, None, :],
        noise,
        labels=torch.arange(digits.CLASSES).repeat_interleave(options.components),
    )
