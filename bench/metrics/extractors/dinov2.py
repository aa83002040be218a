"""DINOv2, a vision transformer trained without labels: ViT-B/14, 768 features.

Oquab et al., 2023, 2304.07193. Stein et al., 2023, 2306.04675, find that Frechet distances in its
features agree with people where those in Inception's do not; theirs is the larger ViT-L/14, so that
values of ``fd_dinov2`` here are not comparable with their FD-DINOv2.

The network's code is timm's (the extra ``dinov2``); its weights are the file of the authors, whose
digest their repository does not give: it is the one that finegrain-ai/refiners checks for the same
address (``src/refiners/conversion/models/dinov2.py``), and that copies of the file on Hugging Face
are stored under.

Images become 224x224 as Pillow's bicubic filter makes them (antialiased, rounded to 256 levels),
then have ImageNet's mean and standard deviation taken out, as in Stein et al., 2023, 2306.04675.
Features are the class token of the last layer, normalised by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import interpolate

from bench.errors import InputError
from bench.metrics.extractors._base import Extractor
from bench.metrics.extractors._published import Weights, downloads

FEATURES = 768
PATCH = 14
SIZE = 224
TRAINED_SIZE = 518
"""Pixels a side of the images for which the file holds positions."""
MEAN = (0.485, 0.456, 0.406)
STANDARD_DEVIATION = (0.229, 0.224, 0.225)
WEIGHTS: Final = Weights(
    file="dinov2_vitb14_pretrain.pth",
    digest="0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73",
    source="https://dl.fbaipublicfiles.com/dinov2/dinov2_vitb14/",
    place=downloads,
)


class DINOv2(Extractor):
    """timm's network, with weights that were read beforehand."""

    mean: Tensor
    scale: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", 255 * torch.tensor(MEAN).reshape(3, 1, 1))
        self.register_buffer("scale", 255 * torch.tensor(STANDARD_DEVIATION).reshape(3, 1, 1))
        self.eval().requires_grad_(False)

    @classmethod
    def restored(cls, state: Mapping[str, Tensor]) -> Self:
        """From the weights of the authors' file.

        Raises:
            InputError: timm is not installed.
        """
        try:
            from timm import create_model
        except ImportError as error:
            raise InputError(
                "extractor 'dinov2': its network is not installed; install the package timm"
            ) from error
        with torch.device("meta"):  # draws no weights that the next line would throw away
            network = create_model("vit_base_patch14_dinov2", img_size=SIZE, num_classes=0)
        # Masks are for training only.
        weights = {name: value for name, value in state.items() if name != "mask_token"}
        weights["pos_embed"] = positions(weights["pos_embed"])
        network.load_state_dict(weights, assign=True)
        return cls(network)

    def features(self, images: Tensor) -> Tensor:
        """Features ``[n, 768]`` of images ``[n, 3, height, width]`` uint8."""
        return self.network((resized(images) - self.mean) / self.scale)


def positions(trained: Tensor) -> Tensor:
    """Positions of the class token and of 16x16 patches, from those of 37x37.

    The authors' code resizes bicubically, by a scale in which a tenth of a patch is added to the
    side; without it the places are others, and so are the features.

    Args:
        trained: ``[1, 1 + 37 * 37, 768]``.
    """
    before, after = TRAINED_SIZE // PATCH, SIZE // PATCH
    token, patches = trained[:, :1], trained[:, 1:]
    grid = patches.reshape(1, before, before, FEATURES).permute(0, 3, 1, 2)
    scaled = interpolate(grid, scale_factor=(after + 0.1) / before, mode="bicubic")
    return torch.cat([token, scaled.flatten(2).transpose(1, 2)], dim=1)


def resized(images: Tensor) -> Tensor:
    """Images ``[n, 3, 224, 224]`` of whole levels 0..255, float32.

    By Pillow, which rounds and clips after each of both directions: torch's own resizing differs
    from it by tens of levels where sharp edges overshoot.
    """
    rows = images.cpu().permute(0, 2, 3, 1).contiguous().numpy()
    smooth = [
        np.asarray(Image.fromarray(row).resize((SIZE, SIZE), Image.Resampling.BICUBIC))
        for row in rows
    ]
    stacked = torch.from_numpy(np.stack(smooth)).permute(0, 3, 1, 2)
    return stacked.to(images.device, torch.float32)


build = DINOv2
