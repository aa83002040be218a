"""An untrained convolution network: a second feature space that no data set and no task shaped.

Naeem et al., 2020, 2002.09797 (section 4.2) recommend random embeddings in 64 dimensions for images
that are not natural photographs: a trained classifier keeps what tells its classes apart and throws
away the rest, so it can be blind to defects within a class. Raw pixels are no alternative for a
Frechet distance, which sees means and covariances only: in pixels a fitted Gaussian is as good as
the data.

He initialisation (He et al., 2015, 1502.01852) from a keyed stream: the same network on every
machine.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from bench.metrics.extractors._base import Extractor
from bench.streams import stream

FEATURES = 64


class RandomConvolutions(Extractor):
    """Two convolutions, an average over a 4x4 grid, one linear map; no biases."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1, bias=False),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(32 * 4 * 4, FEATURES, bias=False),
        )
        generator = stream("extractor", "random_conv")
        for weights in self.parameters():
            scale = math.sqrt(2 / weights[0].numel())
            weights.data = scale * torch.randn(weights.shape, generator=generator)
        self.eval().requires_grad_(False)

    def features(self, images: Tensor) -> Tensor:
        """Features ``[n, 64]`` of images ``[n, 3, height, width]`` uint8, at least 8x8."""
        return self.trunk(images.to(torch.float32) / 127.5 - 1)


build = RandomConvolutions
