"""Samples of a known law with a planted fault, by which metrics are judged.

A metric that is to rank models must find a fault that somebody would call one. Sizes are matched
over dimensions: a fault of 64 dimensions is about as far from the law, in Kullback-Leibler
divergence, as the same fault in the plane.

==================  ============================================================================
between             a share of :data:`SHARE` lies between modes: means of two points of two classes
weights             a share of :data:`SHARE` of the mass is in the wrong classes
weights_relative    every class weighs :data:`SHARE` of its weight too much or too little
spread              modes are 1.2 times as wide, in d dimensions ``1 + 0.2 sqrt(2/d)`` times
shift               half a deviation of the modes, along their widest axis: 0.05 on the ring
missing             the lightest class is missing
==================  ============================================================================

Which classes have too much is told by whether their number is odd.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from bench.data.mixture import GaussianMixture

Draw = Callable[[GaussianMixture, int, torch.Generator], Tensor]
"""From a law, a number and a stream to that many faulty samples ``[n, d]`` float64."""

SHARE: Final = 0.05
SPREAD: Final = 0.2
"""By how much modes of the plane are too wide, as a share of their width."""

SHIFT: Final = 0.5
"""Of a mode, in deviations of it."""


def none(law: GaussianMixture, count: int, generator: torch.Generator) -> Tensor:
    """Samples of the law itself."""
    return law.sample(count, generator)


def between(law: GaussianMixture, count: int, generator: torch.Generator) -> Tensor:
    """A share of the samples are means of two points of two classes."""
    x, mode = law.draw(count, generator)
    other_points, partner = law.draw(count, generator)
    classes = _classes(law)
    apart = 1 - _masses(law).square().sum()  # probability that two points are of two classes
    chosen = torch.rand(count, generator=generator) < SHARE / apart
    moved = chosen & (classes[mode] != classes[partner])
    return torch.where(moved[:, None], (x + other_points) / 2, x)


def weights(law: GaussianMixture, count: int, generator: torch.Generator) -> Tensor:
    """A share of the whole mass is in odd classes instead of even ones."""
    odd = _classes(law) % 2 == 1
    gain = torch.where(odd, SHARE / law.weights[odd].sum(), -SHARE / law.weights[~odd].sum())
    return reweighted(law, law.weights * (1 + gain)).sample(count, generator)


def weights_relative(law: GaussianMixture, count: int, generator: torch.Generator) -> Tensor:
    """Odd classes have 1.05 times their weight, even ones 0.95 times, up to a common factor."""
    odd = _classes(law) % 2 == 1
    changed = law.weights * torch.where(odd, 1 + SHARE, 1 - SHARE)
    return reweighted(law, changed / changed.sum()).sample(count, generator)


def spread(law: GaussianMixture, count: int, generator: torch.Generator) -> Tensor:
    """Every sample is farther from the mean of its mode by one factor."""
    x, mode = law.draw(count, generator)
    factor = 1 + SPREAD * math.sqrt(2 / x.shape[1])
    return law.means[mode] + factor * (x - law.means[mode])


def shift(law: GaussianMixture, count: int, generator: torch.Generator) -> Tensor:
    """Every sample is moved by half a deviation of the modes, where these are widest."""
    mean = torch.einsum("k,kde->de", law.weights, law.covariances.dense())
    variances, axes = torch.linalg.eigh(mean)
    return law.sample(count, generator) + SHIFT * variances[-1].sqrt() * axes[:, -1]


def missing(law: GaussianMixture, count: int, generator: torch.Generator) -> Tensor:
    """The lightest class is missing."""
    lightest = _masses(law).argmin()
    return law.restricted(_classes(law) != lightest).sample(count, generator)


def reweighted(law: GaussianMixture, changed: Tensor) -> GaussianMixture:
    """The same modes with other weights ``[k]``."""
    return GaussianMixture(changed, law.means, law.covariances, law.labels)


def _classes(law: GaussianMixture) -> Tensor:
    """Class of each mode, ``[k]``; its number where modes have no classes."""
    return torch.arange(len(law.weights)) if law.labels is None else law.labels


def _masses(law: GaussianMixture) -> Tensor:
    """Weight of each class."""
    classes = _classes(law)
    return law.weights.new_zeros(int(classes.max()) + 1).index_add(0, classes, law.weights)


FAULTS: Final[dict[str, Draw]] = {
    "between": between,
    "weights": weights,
    "weights_relative": weights_relative,
    "spread": spread,
    "shift": shift,
    "missing": missing,
}
"""Every fault by name."""
