"""Fraction of samples nearer to a training image than to any of as many held-out images.

Training and held-out images come from one population, so a model that copies nothing scores 0.5
and one that copies training images scores 1. Distances are Euclidean, in pixels, after rounding to
the levels of the data, where they are exact; a tie counts one half.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.metrics import Measurement, Needs, over_blocks

if TYPE_CHECKING:
    from torch import Tensor

    from bench.evaluation import Context

NEEDS = Needs(kinds=("image",))
DIRECTIONS = {"memorisation": None}


def compute(context: Context) -> list[Measurement]:
    """Mean over all whole training blocks and the held-out block of equal size."""
    references = context.references
    training = [_levels(context, block) for block in references.blocks("train")]
    held_out = _levels(context, references.blocks("held_out")[0])
    values = []
    for block in context.blocks:
        samples = _levels(context, block)
        unseen = _nearest(samples, held_out)
        fractions = [
            ((seen < unseen).float() + (seen == unseen).float() / 2).mean().item()
            for seen in (_nearest(samples, real) for real in training)
        ]
        values.append(sum(fractions) / len(fractions))
    return [
        over_blocks(
            "memorisation", values, reference_set="held_out", n_reference=context.settings.block
        )
    ]


def _levels(context: Context, images: Tensor) -> Tensor:
    """Flat images in units of levels: small integers, whose squared distances are exact."""
    return context.references.dataset.to_levels(images).flatten(1)


def _nearest(samples: Tensor, real: Tensor) -> Tensor:
    """Squared distance to the nearest real image, less the sample's own squared norm: ``[n]``."""
    return (real.square().sum(1) - 2 * samples @ real.T).amin(dim=1)
