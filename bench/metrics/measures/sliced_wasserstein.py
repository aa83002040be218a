"""Sliced Wasserstein-2 distance: the mean over directions of the distance between projections.

``SW2^2 = E over unit vectors u of W2^2(u.x, u.y)`` (Bonneel et al., JMIV 51, 2015), by POT. The
directions are drawn once, from a keyed stream: all models are projected on the same ones. In one
dimension an empirical distance converges as fast as a mean, so its floor lies below that of exact
Wasserstein-2; but it sees margins only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.metrics.declared import Needs
from bench.metrics.measurement import Measurement, against_held_out

if TYPE_CHECKING:
    from torch import Tensor

    from bench.metrics.context import Context

NEEDS = Needs(kinds=("vector",))
DIRECTIONS = {"sliced_w2": "lower"}
SCALES = {"sliced_w2": "log"}
TITLES = {"sliced_w2": "sliced 2-Wasserstein distance"}
PROJECTIONS: Final = 32


def compute(context: Context) -> list[Measurement]:
    """Mean over blocks, each against a fresh block of held-out points."""
    return [against_held_out(context, "sliced_w2", distance)]


def distance(a: Tensor, b: Tensor) -> float:
    """Sliced Wasserstein-2 distance between ``a [n, d]`` and ``b [m, d]``."""
    import ot
    import torch

    from bench.streams import stream

    x, y = a.flatten(1).double(), b.flatten(1).double()
    directions = torch.randn(
        x.shape[1], PROJECTIONS, generator=stream("sliced_w2"), dtype=torch.float64
    )
    directions /= directions.norm(dim=0)
    value = ot.sliced_wasserstein_distance(
        x.numpy(), y.numpy(), projections=directions.numpy(), p=2
    )
    return float(value)
