"""A small convolutional classifier for images of any size; see the package's docstring."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from bench.metrics.extractors._base import Classifier

FEATURES = 64


class ConvolutionalClassifier(Classifier):
    """Convolutions that halve the sides, their mean over places, one hidden layer (the features).

    Features are non-negative; a linear classifier reads them. Group normalisation (Wu and He,
    2018, 1803.08494) treats every image by itself: features do not depend on the batch.

    Args:
        channels: 1 reads the first of the three channels, which are equal in grey images.
        widths: channels of the convolutions; all but the first halve the sides.
        classes: of the data.
    """

    def __init__(self, channels: int, widths: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.channels = channels
        layers: list[nn.Module] = []
        for index, (before, after) in enumerate(pairwise((channels, *widths))):
            stride = 2 if index else 1
            layers += [
                nn.Conv2d(before, after, 3, stride=stride, padding=1),
                nn.GroupNorm(8, after),
                nn.ReLU(),
            ]
        self.trunk = nn.Sequential(
            *layers,
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(4 * widths[-1], FEATURES),
            nn.ReLU(),
        )
        self.head = nn.Linear(FEATURES, classes)

    def features(self, images: Tensor) -> Tensor:
        """Features ``[n, 64]`` of images ``[n, 3, h, w]`` uint8."""
        return self.trunk(images[:, : self.channels].to(torch.float32) / 127.5 - 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[n, classes]``."""
        return self.head(self.features(images))
