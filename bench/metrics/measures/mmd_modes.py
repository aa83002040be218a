"""Maximum mean discrepancy to the exact law at the width of its modes.

``MMD^2 = E k(x, x') - 2 E k(x, y) + E k(y, y')`` (Gretton et al., JMLR 13, 2012) as in ``mmd``,
whose one kernel is as wide as all the data and sees little of what lies between modes. Here the
kernel is the mean over ``metrics.bandwidths`` of ``exp(-|x - y|^2 / (2 h^2))``; where a data set
names none, the one width is ``sqrt(E|y - mu|^2 / 2)`` over data y of a mode of mean mu: 0.1 for
modes of deviation 0.1 in the plane. A root over all pairs, so real data score about
``1 / sqrt(block)``. Memory does not grow with the square of the block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.metrics.declared import Needs
from bench.metrics.measurement import Measurement, over_blocks

if TYPE_CHECKING:
    from bench.metrics.context import Context

NEEDS = Needs(exact=True)
DIRECTIONS = {"mmd_modes": "lower"}
SCALES = {"mmd_modes": "log"}
TITLES = {"mmd_modes": "maximum mean discrepancy at the width of modes"}


def compute(context: Context) -> list[Measurement]:
    """Mean over blocks, each against the law itself."""
    from bench.metrics.law import KernelMeans, mode_width

    law = context.references.dataset.mixture
    assert law is not None, f"{context.references.dataset.name} has no exact law"
    widths = context.settings.bandwidths
    kernel = context.references.derived(
        ("kernel means", widths), lambda: KernelMeans(law, widths or (mode_width(law),))
    )
    squares = [kernel.squared(block.flatten(1).double()) for block in context.blocks]
    roots = [max(square, 0.0) ** 0.5 for square in squares]
    return [over_blocks("mmd_modes", roots, reference_set="exact")]
