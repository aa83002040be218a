"""How much nearer samples lie to training images than to held-out images of the same population.

``f`` is the fraction of samples whose nearest real image, training and held-out together, is a
training image. A model that copies nothing cannot tell the two apart: it scores the share ``p`` of
training images, whatever its quality. The value is ``1/2 + (f - p) / (2 (1 - p))``: 0.5 for no
memorisation and 1 for copies, as if both sets were of equal size. Distances are Euclidean, in
pixels, after rounding to the levels of the data, where they are exact; a tie counts one half.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.metrics import Measurement, Needs, over_blocks

if TYPE_CHECKING:
    from torch import Tensor

    from bench.evaluation import Context

NEEDS = Needs(kinds=("image",), levels=True)
DIRECTIONS = {"memorisation": None}


def compute(context: Context) -> list[Measurement]:
    """Mean over blocks of samples; each is compared with all real images."""
    dataset = context.references.dataset
    training, held_out = _levels(context, dataset.train), _levels(context, dataset.held_out)
    chance = len(training) / (len(training) + len(held_out))
    values = []
    for block in context.blocks:
        samples = _levels(context, block)
        seen, unseen = _nearest(samples, training), _nearest(samples, held_out)
        nearer = ((seen < unseen).float() + (seen == unseen).float() / 2).mean().item()
        values.append(0.5 + (nearer - chance) / (2 * (1 - chance)))
    size = len(held_out)
    return [over_blocks("memorisation", values, reference_set="held_out", n_reference=size)]


def _levels(context: Context, images: Tensor) -> Tensor:
    """Flat images in units of levels: small integers, whose squared distances are exact."""
    return context.references.dataset.to_levels(images).flatten(1)


def _nearest(samples: Tensor, real: Tensor) -> Tensor:
    """Squared distance to the nearest real image, less the sample's own squared norm: ``[n]``."""
    return (real.square().sum(1) - 2 * samples @ real.T).amin(dim=1)
