"""A ring of Gaussians in the plane, whose density, velocity and samples are exact.

Mode k of K is ``N(radius * (cos, sin)(2 pi k / K), std^2 I)``; odd modes weigh ``ratio`` times as
much as even ones, so that a model has to learn the weights too. The mean is zero, and with the
defaults each coordinate has variance ``radius^2 / 2 + std^2 = 0.51``. A point's class is its mode.
Training and held-out points are independent draws of separate streams, the same for every seed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import Field

from bench.data.dataset import DataOptions, Description

if TYPE_CHECKING:
    from bench.data.dataset import DataSet
    from bench.data.mixture import GaussianMixture


class Options(DataOptions):
    """Shape of the ring, and how many points are drawn."""

    modes: int = Field(default=8, ge=2, multiple_of=2)
    radius: float = Field(default=1.0, gt=0)
    std: float = Field(default=0.1, gt=0)
    ratio: float = Field(default=2.0, gt=0)
    train: int = Field(default=50_000, ge=2)
    held_out: int = Field(default=20_000, ge=2)


def describe(options: Options) -> Description:
    """Points of the plane, a class a mode, of a known law."""
    return Description(
        title="2-D mixture",
        kind="vector",
        shape=(2,),
        primary="w2",
        classes=options.modes,
        exact=True,
    )


def mixture(options: Options) -> GaussianMixture:
    """The exact law of the data."""
    import torch

    from bench.data.mixture import GaussianMixture

    modes = torch.arange(options.modes)
    angles = modes.double() * (2 * math.pi / options.modes)
    weights = torch.where(modes % 2 == 1, options.ratio, 1.0).double()
    return GaussianMixture.diagonal(
        weights / weights.sum(),
        options.radius * torch.stack([angles.cos(), angles.sin()], dim=1),
        torch.full((options.modes, 2), options.std**2, dtype=torch.float64),
        labels=modes,
    )


def build(options: Options) -> DataSet:
    """Draw the training and the held-out points."""
    from bench.data.dataset import drawn

    counts = options.train, options.held_out
    return drawn("mixture2d", describe(options), mixture(options), counts)
