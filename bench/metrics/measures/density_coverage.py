"""Density and coverage: precision and recall that a single outlier cannot buy.

A real sample owns the ball whose radius is the distance to its k-th nearest real neighbour. Density
is the mean number of balls that a generated sample lies in, over k; it may exceed one. Coverage is
the share of balls that hold at least one generated sample. Naeem et al., 2020, 2002.09797, with
their k = 5. For ``n`` samples of the data's own law against ``m`` real ones the expected density is
1, and the expected coverage ``1 - prod_{i=1..k} (m - i) / (n + m - i)``, whatever the law.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from bench.metrics.declared import Needs, measured_in
from bench.metrics.measurement import Measurement, over_blocks

if TYPE_CHECKING:
    from torch import Tensor

    from bench.metrics.context import Context

NEEDS = Needs(kinds=("image",), extractor=True)
DIRECTIONS = {"density_{extractor}": "higher", "coverage_{extractor}": "higher"}
SCALES = {"density_{extractor}": "log", "coverage_{extractor}": "logit"}
TITLES = {
    "density_{extractor}": "density",
    "coverage_{extractor}": "coverage",
}
NEIGHBOURS: Final = 5


def compute(context: Context) -> list[Measurement]:
    """Mean over blocks, each against a block of held-out data."""
    from bench.metrics import features as _features

    references = context.references
    name, network = _features.extractor_of(references), _features.declared(references)
    features = _features.of_samples(context, name, network)
    block_scores = []
    for i, j in context.against("held_out"):
        real, _ = _features.real_block(references, name, network, "held_out", j)
        balls = references.derived(("balls", name, j), partial(radii, real))
        block_scores.append(density_and_coverage(features[i], real, balls))
    columns = {
        "reference_set": "held_out",
        "n_reference": context.settings.block,
        "extractor": name,
    }
    return [
        over_blocks(measured_in(stem, name), values, **columns)
        for stem, values in zip(DIRECTIONS, zip(*block_scores, strict=True), strict=True)
    ]


def radii(real: Tensor) -> Tensor:
    """Distance ``[m]`` of real features ``[m, d]`` to their k-th neighbour."""
    import torch

    return torch.cdist(real, real).kthvalue(NEIGHBOURS + 1, dim=1).values


def density_and_coverage(samples: Tensor, real: Tensor, reach: Tensor) -> tuple[float, float]:
    """Of ``samples [n, d]`` against ``real [m, d]`` whose balls have the radii ``reach [m]``."""
    import torch

    inside = torch.cdist(samples, real) < reach
    density = inside.sum().item() / (NEIGHBOURS * len(samples))
    return density, inside.any(dim=0).double().mean().item()
