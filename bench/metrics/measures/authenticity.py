"""Share of samples that are no copies: farther from a training image than its own neighbour is.

Each sample is compared with the training image nearest to it. It is authentic if it lies farther
from that image than the image's nearest neighbour in the training set does (Alaa et al.,
2021, 2102.08921, section 5); where training mirrored its images, among all of them and their mirror
images, but its own. A memoriser scores 0; fresh real images score what the floor of unseen
images does, and noise scores 1: there is no direction, read it beside ``memorisation``. Distances
are those of ``memorisation``: Euclidean in pixels, after rounding to the levels of the data. It
does not apply where training is unlimited and nothing could be copied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.metrics.declared import Needs
from bench.metrics.measurement import Measurement, over_blocks
from bench.metrics.measures.memorisation import distances, nearest, to_levels

if TYPE_CHECKING:
    from torch import Tensor

    from bench.metrics.context import Context

NEEDS = Needs(kinds=("image",), levels=True, finite=True)
DIRECTIONS = {"authenticity": None}
SCALES = {"authenticity": "logit"}
TITLES = {"authenticity": "authenticity"}


def compute(context: Context) -> list[Measurement]:
    """Mean over blocks of samples; each is compared with all training images."""
    training = to_levels(context.references, "train")
    gaps = context.references.derived("training gaps", lambda: own_gaps(*training))
    values = []
    for squared, index in nearest(context, "train"):
        values.append((squared > gaps[index]).double().mean().item())
    size = len(training[0])
    return [over_blocks("authenticity", values, reference_set="train", n_reference=size)]


def own_gaps(images: Tensor, *mirrored: Tensor) -> Tensor:
    """Squared distance ``[n]`` of each of ``images [n, d]`` to the nearest other one.

    Args:
        images: flat images.
        mirrored: the same in another orientation, ``[n, d]``; the nearest may be among them.
    """
    import torch

    nearest_gaps = []
    for neighbours in (images, *mirrored):
        gaps = []
        for first, squared in distances(images, neighbours):
            squared.diagonal(offset=first).fill_(float("inf"))
            gaps.append(squared.amin(dim=1))
        nearest_gaps.append(torch.cat(gaps))
    return torch.stack(nearest_gaps).amin(dim=0).cpu()
