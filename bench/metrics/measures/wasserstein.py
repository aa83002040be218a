"""Exact Wasserstein-2 distance between point sets of equal size.

``W2^2 = min over assignments of the mean squared distance``, by POT's network simplex (at 597
points in the plane a third faster than scipy's assignment, with the same value). Each block of
samples meets a fresh block of held-out points. Two samples of the data itself are not at distance
zero: the floor table shows what real data scores. A block of more than ``assigned`` points is split
into parts of that many, and its value is their mean: seconds grow with the cube of the points.
"""

from __future__ import annotations

import math
from dataclasses import replace
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
    from bench.metrics.context import whole_blocks

    most = context.settings.assigned
    if most is None or most >= context.settings.block:
        return [against_held_out(context, "w2", distance)]

    def in_parts(a: Tensor, b: Tensor) -> float:
        pairs = zip(whole_blocks(a, most), whole_blocks(b, most), strict=True)
        values = [distance(first, second) for first, second in pairs]
        return math.fsum(values) / len(values)

    return [replace(against_held_out(context, "w2", in_parts), n_reference=most)]


def distance(a: Tensor, b: Tensor) -> float:
    """Wasserstein-2 distance between ``a`` and ``b``, both ``[n, d]``."""
    import ot

    x, y = a.flatten(1).double().numpy(), b.flatten(1).double().numpy()
    squared: float = ot.emd2([], [], ot.dist(x, y, metric="sqeuclidean"))
    return max(squared, 0.0) ** 0.5
