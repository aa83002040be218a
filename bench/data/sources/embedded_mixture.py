"""A mixture of few dimensions turned into many: data on a flat of known law and known dimension.

The inner law in ``intrinsic`` dimensions has ``components`` Gaussians of equal weight. Their means
are directions of length one, taken one by one as the farthest of :data:`CANDIDATES` random ones
from those before. Each has axes of its own, with standard deviations in equal ratios from ``std``
down to ``std / 3``, so that it has a shape to be learnt. With an embedding ``E [d, r]`` of
orthonormal columns and the scale ``c = sqrt(d / v) / 2``, where ``v`` is the inner law's total
variance, a component of the data is::

    N(c E mu_k, c^2 E S_k E^T + noise^2 I)

The inner law alone then gives a coordinate the mean variance 1/4, whatever the number of
dimensions; ``noise`` in every direction makes a density of it. That is an exact mixture again (of
low rank plus a constant, :mod:`bench.data.mixture`), so density, score and velocity are exact. A
model has to find the flat: the share of the variance that lies on it is
``(d + 4 r noise^2) / (d + 4 d noise^2)``. Means, axes and the embedding are drawn from streams that
every seed shares. A sample's class is its component.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import Field

from bench.data.dataset import DataOptions, Description
from bench.data.endless import UNLIMITED, TrainingSamples

if TYPE_CHECKING:
    from torch import Tensor

    from bench.data.dataset import DataSet
    from bench.data.mixture import GaussianMixture

NAME: Final = "embedded_mixture"

CANDIDATES: Final = 64
"""Directions of which the farthest one becomes a mean."""

ELONGATION: Final = 3.0
"""Largest standard deviation of a component over its least."""


class Options(DataOptions):
    """The form of the mixture, and how many samples are drawn.

    Attributes:
        dimensions: numbers of a sample.
        intrinsic: dimensions of the inner law.
        components: Gaussians in it, each a class.
        std: largest standard deviation of a component, where its mean has length one.
        noise: standard deviation of every direction beside the inner law's, in model units.
        train, held_out: samples drawn; ``unlimited`` training draws new ones for every update.
    """

    dimensions: int = Field(default=32, ge=16, le=1024)
    intrinsic: int = Field(default=4, ge=2, le=16)
    components: int = Field(default=8, ge=2, le=64)
    std: float = Field(default=0.2, gt=0, lt=1)
    noise: float = Field(default=0.1, gt=0, le=1)
    train: TrainingSamples = 50_000
    held_out: int = Field(default=20_000, ge=2)


def describe(options: Options) -> Description:
    """Points of many dimensions, a class a component, of a known law."""
    return Description(
        title=f"Embedded mixture {options.intrinsic} in {options.dimensions}",
        kind="vector",
        shape=(options.dimensions,),
        primary="mmd",
        classes=options.components,
        exact=True,
        unlimited=options.train == UNLIMITED,
    )


def mixture(options: Options) -> GaussianMixture:
    """The exact law of the data."""
    import torch

    from bench.data.mixture import GaussianMixture

    k, d, r = options.components, options.dimensions, options.intrinsic
    means = _spread(k, r)
    shares = torch.linspace(0, 1, r, dtype=torch.float64)
    scales = options.std * ELONGATION**-shares
    axes = torch.stack([_orthonormal(r, r, "axes", index) for index in range(k)])
    total = (means - means.mean(0)).square().sum(1).mean() + scales.square().sum()
    embedding = (d / total).sqrt() / 2 * _orthonormal(d, r, "embedding")
    return GaussianMixture.low_rank(
        torch.full((k,), 1 / k, dtype=torch.float64),
        means @ embedding.T,
        embedding @ (axes * scales),
        torch.full((k,), options.noise**2, dtype=torch.float64),
        labels=torch.arange(k),
    )


def build(options: Options) -> DataSet:
    """Draw the training and the held-out samples."""
    from bench.data.dataset import drawn

    counts = options.train, options.held_out
    return drawn(NAME, describe(options), mixture(options), counts)


def _normal(rows: int, columns: int, *what: str | int) -> Tensor:
    import torch

    from bench.streams import stream

    generator = stream(NAME, *what)
    return torch.randn(rows, columns, generator=generator, dtype=torch.float64)


def _spread(count: int, dimensions: int) -> Tensor:
    """Directions ``[count, dimensions]`` of length one, each far from those before."""
    import torch

    directions: list[Tensor] = []
    for index in range(count):
        drawn = _normal(CANDIDATES, dimensions, "mean", index)
        drawn = drawn / torch.linalg.vector_norm(drawn, dim=1, keepdim=True)
        best = torch.cdist(drawn, torch.stack(directions)).amin(dim=1).argmax() if directions else 0
        directions.append(drawn[best])
    return torch.stack(directions)


def _orthonormal(rows: int, columns: int, *what: str | int) -> Tensor:
    """Uniform orthonormal columns ``[rows, columns]`` (Mezzadri, math-ph/0609050)."""
    import torch

    q, triangular = torch.linalg.qr(_normal(rows, columns, *what))
    return q * triangular.diagonal().sign()
