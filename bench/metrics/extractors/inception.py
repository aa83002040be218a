"""The Inception-v3 network of 2015-12-05, whose Frechet distance alone is called FID.

Network and pipeline are torch-fidelity's: images uint8, resized to 299x299 as TensorFlow 1 did
(bilinear, no antialiasing, corners not aligned), then ``(x - 128) / 128``; features are the 2,048
averages of the last layer before the logits. Heusel et al., 2017, 1706.08500.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from torch import Tensor, nn

from bench.metrics import torch_fidelity
from bench.metrics.extractors._base import Extractor
from bench.metrics.extractors._published import Weights, downloads

FEATURES = 2048
WEIGHTS: Final = Weights(
    file="weights-inception-2015-12-05-6726825d.pth",
    digest="6726825d",
    source="release v0.2.0 of toshas/torch-fidelity on GitHub",
    place=downloads,
)


class Inception(Extractor):
    """torch-fidelity's network, with weights that were read beforehand."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.eval().requires_grad_(False)

    @classmethod
    def restored(cls, state: Mapping[str, Tensor]) -> Self:
        """From named weights."""
        return cls(torch_fidelity.inception(state, str(FEATURES)))

    def features(self, images: Tensor) -> Tensor:
        """Features ``[n, 2048]`` of images ``[n, 3, height, width]`` uint8."""
        return self.network(images)[0]


build = Inception
