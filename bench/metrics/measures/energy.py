"""Energy distance between samples and held-out points.

``2 E|x - y| - E|x - x'| - E|y - y'|`` (Szekely and Rizzo, J. Stat. Plan. Inference 143, 2013), zero
for equal laws only. Pairs of a sample with itself are left out, which makes it unbiased: over draws
of the data its mean is zero, and a value can be negative. It asks for no kernel width.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Final

from bench.metrics.declared import Needs
from bench.metrics.measurement import Measurement, over_blocks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from bench.metrics.context import Context

NEEDS = Needs(kinds=("vector",))
ROWS: Final = 4096
"""Rows of distances that are held at a time."""

DIRECTIONS = {"energy_distance": "lower"}
SCALES = {"energy_distance": "linear"}
TITLES = {"energy_distance": "energy distance"}


def compute(context: Context) -> list[Measurement]:
    """Mean over blocks, each against a fresh block of held-out points."""
    references = context.references
    real = references.blocks("held_out")
    values = []
    for i, j in context.against("held_out"):
        inside = references.derived(("spread", j), partial(spread, real[j]))
        values.append(distance(context.blocks[i], real[j], inside))
    block = context.settings.block
    return [over_blocks("energy_distance", values, reference_set="held_out", n_reference=block)]


def distance(a: Tensor, b: Tensor, spread_of_b: float | None = None) -> float:
    """Energy distance between ``a [n, ...]`` and ``b [m, ...]``; the spread of b may be known."""
    inside = spread(b) if spread_of_b is None else spread_of_b
    return 2 * mean_distance(a, b) - spread(a) - inside


def mean_distance(a: Tensor, b: Tensor) -> float:
    """Mean Euclidean distance between rows of ``a [n, ...]`` and ``b [m, ...]``."""
    from scipy.spatial.distance import cdist

    x, y = _rows(a), _rows(b)
    # In parts: of a large block no matrix of all pairs is held. One part has the weight 1.
    parts = [x[first : first + ROWS] for first in range(0, len(x), ROWS)]
    return math.fsum(len(part) / len(x) * float(cdist(part, y).mean()) for part in parts)


def spread(points: Tensor) -> float:
    """Mean Euclidean distance between two different rows of ``points [n, ...]``."""
    from scipy.spatial.distance import pdist

    if len(points) > ROWS:
        # Every pair twice, and each point with itself, at no distance.
        return mean_distance(points, points) * len(points) / (len(points) - 1)
    return float(pdist(_rows(points)).mean())


def _rows(points: Tensor) -> NDArray[np.float64]:
    rows: NDArray[np.float64] = points.flatten(1).double().cpu().numpy()
    return rows
