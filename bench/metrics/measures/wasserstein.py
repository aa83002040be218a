"""Exact Wasserstein-2 distance between point sets of equal size.

``W2^2 = min over assignments of the mean squared distance``, by POT's network simplex (at 597
points in the plane a third faster than scipy's assignment, with the same value). Each block of
samples meets a fresh block of held-out points. Two samples of the data itself are not at distance
zero: the floor table shows what real data scores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.metrics.declared import Needs
from bench.metrics.measurement import Measurement, against_held_out

if TYPE_CHECKING:
    from torch import Tensor

    from bench.metrics.context import Context

NEEDS = Needs(kinds=("vector",))
DIRECTIONS = {"w2": "lower"}
SCALES = {"w2": "log"}
TITLES = {"w2": "2-Wasserstein distance"}


def compute(context: Context) -> list[Measurement]:
    """Mean over blocks."""
    return [against_held_out(context, "w2", distance)]


def distance(a: Tensor, b: Tensor) -> float:
    """Wasserstein-2 distance between ``a`` and ``b``, both ``[n, d]``."""
    import ot

    x, y = a.flatten(1).double().numpy(), b.flatten(1).double().numpy()
    squared: float = ot.emd2([], [], ot.dist(x, y, metric="sqeuclidean"))
    return max(squared, 0.0) ** 0.5
