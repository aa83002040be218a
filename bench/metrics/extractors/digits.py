"""A small convolutional classifier of the 8x8 digits with 64 features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.metrics.extractors._base import Classifier

FEATURES = 64
CLASSES = 10


class DigitsClassifier(Classifier):
    """Two convolutions, one hidden layer (the features, non-negative), one linear classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 4 * 4, FEATURES),
            nn.ReLU(),
        )
        self.head = nn.Linear(FEATURES, CLASSES)

    def features(self, images: Tensor) -> Tensor:
        """Features ``[n, 64]`` of images ``[n, 3, 8, 8]`` uint8 whose channels are equal."""
        grey = images[:, :1].to(torch.float32) / 255
        return self.trunk(grey)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[n, 10]``."""
        return self.head(self.features(images))


build = DigitsClassifier
