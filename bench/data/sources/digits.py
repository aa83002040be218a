"""The 8x8 handwritten digits that ship with scikit-learn: 1,797 grey images of 17 levels.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI repository,
https://doi.org/10.24432/C50P49 (its test part; CC BY 4.0). The split into 1,200 training and 597
held-out images is one keyed permutation, the same for every seed. It is not stratified: class
counts of the held-out images vary as they do among generated samples. Writers are not kept apart.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from bench.data.dataset import DataOptions, Description
from bench.errors import InputError

if TYPE_CHECKING:
    from bench.data.dataset import DataSet

SHAPE = (1, 8, 8)
LEVELS = 17
CLASSES = 10
TRAIN = 1200
PIXELS_SHA256 = "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3"


class Options(DataOptions):
    """The digits have no options."""


def describe(options: Options) -> Description:
    """Grey images of the ten digits."""
    return Description(
        title="Digits 8x8",
        kind="image",
        shape=SHAPE,
        primary="fd_digits",
        classes=CLASSES,
        levels=LEVELS,
        extractor="digits",
    )


def build(options: Options) -> DataSet:
    """Read the images from scikit-learn, check them and split them.

    Raises:
        InputError: the installed scikit-learn ships other images.
    """
    import numpy as np
    import torch
    from sklearn.datasets import load_digits

    from bench.data.dataset import DataSet
    from bench.streams import stream

    source = load_digits()
    levels = source.images.astype(np.uint8)
    if hashlib.sha256(levels.tobytes()).hexdigest() != PIXELS_SHA256:
        raise InputError("data set 'digits': the images of this scikit-learn are not those known")
    images = torch.from_numpy(levels).float().unsqueeze(1) * (2 / (LEVELS - 1)) - 1
    labels = torch.from_numpy(source.target).long()
    order = torch.randperm(len(images), generator=stream("digits", "split"))
    train, held_out = order[:TRAIN], order[TRAIN:]
    return DataSet(
        name="digits",
        kind="image",
        train=images[train],
        held_out=images[held_out],
        levels=LEVELS,
        sigma_data=images[train].std().item(),
        train_labels=labels[train],
        held_out_labels=labels[held_out],
    )
