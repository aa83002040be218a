"""Gaussians in the plane, laid out in a figure, whose density, velocity and samples are exact.

Each ``layout`` is a mixture of ``modes`` Gaussians about a curve or a lattice within ``radius``:

* ``ring``: mode k of K is ``N(radius * (cos, sin)(2 pi k / K), std^2 I)``; a class a mode. With the
  defaults each coordinate has variance ``radius^2 / 2 + std^2 = 0.51``.
* ``grid``: the same about the points of a lattice, as square as ``modes`` allows, whose longer side
  runs from ``-radius`` to ``radius``; a class a mode.
* ``spiral``: two arms ``+- radius (cos, sin)(3 pi v / 2) v`` with ``v = sqrt(u)`` and u in (0, 1);
  a class an arm.
* ``moons``: two half circles, of which each ends in the middle of the other, as in the data set of
  that name in scikit-learn (Pedregosa et al., JMLR 12, 2011), two radii wide; a class a half.

Along a curve the modes stand at the middles of equal parts of its parameter, drawn out along the
tangent to a standard deviation of half the part's length (and at least ``std``), so that they run
into each other; across it they keep ``std``. Odd modes (of the grid those on dark fields) weigh
``ratio`` times as much as the others, so that a model has to learn the weights too. Training and
held-out points are independent draws of separate streams, the same for every seed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from bench.data.dataset import DataOptions, Description
from bench.data.endless import UNLIMITED, TrainingSamples

if TYPE_CHECKING:
    from torch import Tensor

    from bench.data.dataset import DataSet
    from bench.data.mixture import GaussianMixture

CURVES = ("spiral", "moons")
"""Layouts of two curves, each of which is a class."""


class Options(DataOptions):
    """Shape of the figure, and how many points are drawn.

    Attributes:
        layout: the figure.
        modes: Gaussians in it.
        radius: of the figure.
        std: standard deviation of a mode, of curves across them.
        ratio: weight of odd modes over that of even ones.
        train, held_out: points drawn; ``unlimited`` training draws new ones for every update.
    """

    later = frozenset({"layout"})

    layout: Literal["ring", "grid", "spiral", "moons"] = "ring"
    modes: int = Field(default=8, ge=2, multiple_of=2)
    radius: float = Field(default=1.0, gt=0)
    std: float = Field(default=0.1, gt=0)
    ratio: float = Field(default=2.0, gt=0)
    train: TrainingSamples = 50_000
    held_out: int = Field(default=20_000, ge=2)


def describe(options: Options) -> Description:
    """Points of the plane, a class a mode or a curve, of a known law."""
    ring, layout = options.layout == "ring", options.layout
    return Description(
        title="2-D mixture" if ring else f"2-D mixture ({layout})",
        kind="vector",
        shape=(2,),
        primary="w2",
        classes=2 if layout in CURVES else options.modes,
        exact=True,
        unlimited=options.train == UNLIMITED,
    )


def mixture(options: Options) -> GaussianMixture:
    """The exact law of the data."""
    import torch

    from bench.data.mixture import GaussianMixture

    if options.layout in CURVES:
        return _along_curves(options)
    modes = torch.arange(options.modes)
    means, odd = _ring(options) if options.layout == "ring" else _grid(options)
    weights = torch.where(odd, options.ratio, 1.0).double()
    return GaussianMixture.diagonal(
        weights / weights.sum(),
        means,
        torch.full((options.modes, 2), options.std**2, dtype=torch.float64),
        labels=modes,
    )


def _ring(options: Options) -> tuple[Tensor, Tensor]:
    """Means ``[k, 2]``, and which modes are odd, ``[k]``."""
    import torch

    modes = torch.arange(options.modes)
    angles = modes.double() * (2 * math.pi / options.modes)
    return options.radius * torch.stack([angles.cos(), angles.sin()], dim=1), modes % 2 == 1


def _grid(options: Options) -> tuple[Tensor, Tensor]:
    """Means ``[k, 2]`` row by row, and which modes are odd, ``[k]``."""
    import torch

    rows = max(n for n in range(1, math.isqrt(options.modes) + 1) if options.modes % n == 0)
    columns = options.modes // rows
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    places = torch.stack([column - (columns - 1) / 2, row - (rows - 1) / 2], dim=2).double()
    means = places.flatten(0, 1) * (2 * options.radius / (columns - 1))
    return means, ((row + column) % 2 == 1).flatten()


def _along_curves(options: Options) -> GaussianMixture:
    """Half of the modes on each of two curves, the second the first one turned by half a turn."""
    import torch

    from bench.data.mixture import GaussianMixture

    each = options.modes // 2
    u = (torch.arange(each).double() + 0.5) / each
    if options.layout == "spiral":
        turn, v = 1.5 * math.pi, u.sqrt()
        ray = torch.stack([(turn * v).cos(), (turn * v).sin()], dim=1)
        across = torch.stack([-ray[:, 1], ray[:, 0]], dim=1)
        centres = v[:, None] * ray
        speed = (ray + turn * v[:, None] * across) / (2 * v[:, None])
    else:
        angle = math.pi * u
        ray = torch.stack([angle.cos(), angle.sin()], dim=1)
        # Half circles of radius 1 about (0, 0) and (1, 1/2): their middle is the origin here.
        centres = (ray - torch.tensor([0.5, 0.25]).double()) / 1.5
        speed = math.pi * torch.stack([-ray[:, 1], ray[:, 0]], dim=1) / 1.5
    length = torch.linalg.vector_norm(speed, dim=1, keepdim=True)
    along = (options.radius * length / (2 * each)).clamp(min=options.std)
    factors = (speed / length) * (along.square() - options.std**2).sqrt()
    weights = torch.where(torch.arange(each) % 2 == 1, options.ratio, 1.0).double().repeat(2)
    return GaussianMixture.low_rank(
        weights / weights.sum(),
        options.radius * torch.cat([centres, -centres]),
        torch.cat([factors, -factors])[:, :, None],
        torch.full((options.modes,), options.std**2, dtype=torch.float64),
        labels=torch.arange(2).repeat_interleave(each),
    )


def build(options: Options) -> DataSet:
    """Draw the training and the held-out points."""
    from bench.data.dataset import drawn

    counts = options.train, options.held_out
    return drawn("mixture2d", describe(options), mixture(options), counts)
