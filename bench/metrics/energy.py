"""Energy distance between samples and held-out points.

``2 E|x - y| - E|x - x'| - E|y - y'|`` (Szekely and Rizzo, J. Stat. Plan. Inference 143, 2013), zero
for equal laws only. Pairs of a sample with itself are left out, which makes it unbiased: over draws
of the data its mean is zero, and a value can be negative. It asks for no kernel width.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bench.metrics import Measurement, Needs, over_blocks

if TYPE_CHECKING:
    from torch import Tensor

    from bench.evaluation import Context

NEEDS = Needs(kinds=("vector",))
DIRECTIONS = {"energy_distance": "lower"}
SCALES = {"energy_distance": "linear"}


def compute(context: Context) -> list[Measurement]:
    """Mean over blocks, each against a fresh block of held-out points."""
    references = context.references
    real = references.blocks("held_out")
    values = []
    for i, j in context.against("held_out"):
        inside = references.derived(("spread", j), partial(spread, real[j]))
        x = context.blocks[i]
        values.append(2 * mean_distance(x, real[j]) - spread(x) - inside)
    block = context.settings.block
    return [over_blocks("energy_distance", values, reference_set="held_out", n_reference=block)]


def mean_distance(a: Tensor, b: Tensor) -> float:
    """Mean Euclidean distance between rows of ``a [n, d]`` and ``b [m, d]``."""
    from scipy.spatial.distance import cdist

    return float(cdist(a.double().numpy(), b.double().numpy()).mean())


def spread(points: Tensor) -> float:
    """Mean Euclidean distance between two different rows of ``points [n, d]``."""
    from scipy.spatial.distance import pdist

    return float(pdist(points.double().numpy()).mean())
