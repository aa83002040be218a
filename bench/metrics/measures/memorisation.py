"""How much nearer samples lie to training images than to held-out images of the same population.

``f`` is the fraction of samples whose nearest real image, training and held-out together, is a
training image. A model that copies nothing cannot tell the two apart: it scores the share ``p`` of
training images, whatever its quality. The value is ``1/2 + (f - p) / (2 (1 - p))``: 0.5 for no
memorisation and 1 for copies, as if both sets were of equal size. Distances are Euclidean, in
pixels, after rounding to the levels of the data; a tie counts one half. They are exact where
squared norms, in levels, stay below 2^24 (17 levels do), and else rounded to that share of them.
Where training mirrored its images, the nearest real image is sought among all of them and their
mirror images, training and held-out alike: a mirrored copy is a copy. Where training is unlimited
no sample is met twice and there is no set to copy: the metric does not apply.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from bench.metrics.declared import Needs
from bench.metrics.measurement import Measurement, over_blocks

if TYPE_CHECKING:
    from torch import Tensor

    from bench.metrics.context import Context, References, ReferenceSet

NEEDS = Needs(kinds=("image",), levels=True, finite=True)
DIRECTIONS = {"memorisation": None}
SCALES = {"memorisation": "logit"}
TITLES = {"memorisation": "memorisation"}
AT_ONCE: Final = 2**26
"""Distances that are held at a time: between all images of a large set they fill no memory."""


def compute(context: Context) -> list[Measurement]:
    """Mean over blocks of samples; each is compared with all real images."""
    dataset = context.references.dataset
    chance = len(dataset.train) / (len(dataset.train) + len(dataset.held_out))
    values = []
    pairs = zip(nearest(context, "train"), nearest(context, "held_out"), strict=True)
    for (seen, _), (unseen, _) in pairs:
        nearer = ((seen < unseen).float() + (seen == unseen).float() / 2).mean().item()
        values.append(0.5 + (nearer - chance) / (2 * (1 - chance)))
    size = len(dataset.held_out)
    return [over_blocks("memorisation", values, reference_set="held_out", n_reference=size)]


def to_levels(references: References, reference: ReferenceSet) -> list[Tensor]:
    """Real images as training saw them: as they are, and mirrored where it flipped them.

    Each is ``[n, d]``, flat, in units of levels: small integers of exact squared distances, where
    distances are computed.
    """

    def compute() -> list[Tensor]:
        dataset = references.dataset
        images = dataset.to_levels(dataset.train if reference == "train" else dataset.held_out)
        seen = [images, images.flip(-1)] if references.settings.flip else [images]
        return [levels.flatten(1).to(references.device) for levels in seen]

    return references.derived(("levels", reference), compute)


def nearest(context: Context, reference: ReferenceSet) -> list[tuple[Tensor, Tensor]]:
    """For each block the squared distance to the nearest real image and its index, ``[block]``."""

    def compute() -> list[tuple[Tensor, Tensor]]:
        real = to_levels(context.references, reference)
        blocks = (context.references.dataset.to_levels(block) for block in context.blocks)
        device = context.references.device
        return [_nearest(block.flatten(1).to(device), real) for block in blocks]

    return context.derived(("nearest", reference), compute)


def _nearest(samples: Tensor, real: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Squared distance of each of ``samples [k, d]`` to the nearest image, and its index."""
    import torch

    matches = []
    for images in real:
        parts = [squared.min(dim=1) for _, squared in distances(samples, images)]
        matches.append((torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])))
    (least, index), *mirrored = matches
    for squared, mirrored_index in mirrored:
        index = torch.where(squared < least, mirrored_index, index)
        least = torch.minimum(squared, least)
    return least.cpu(), index.cpu()


def distances(images: Tensor, references: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Squared distances ``[k, m]`` of images ``[n, d]`` to ``[m, d]``, from a first row on."""
    norms, rows = references.square().sum(1), max(1, AT_ONCE // len(references))
    for first in range(0, len(images), rows):
        part = images[first : first + rows]
        yield first, part.square().sum(1)[:, None] + norms - 2 * part @ references.T
