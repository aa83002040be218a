"""The U-Net of the field: residual blocks with group norm, attention, and skip connections.

The layout is that of DDPM (Ho et al., 2020, 2006.11239) and DDPM++ (Song et al., 2020, 2011.13456):
at each resolution some residual blocks, those of chosen resolutions with self-attention; halving by
a strided convolution, doubling by repetition and a convolution; every feature map of the way down
is kept for the way up. From ADM (Dhariwal & Nichol, 2021, 2105.05233) comes the embedding of time
and class that scales and shifts the second group norm of each block. Residual sums are divided by
sqrt(2), so that variances do not grow with depth.

The input reaches the output by a path of its own, see :class:`bench.models.networks._base.Passed`.

The last convolution of each branch starts at zero, the network's own among them: an untrained
network outputs zero and its average has nothing to forget. All other weights start with
unit-variance scaling (Glorot), biases at zero.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.models.networks._base import Embedding, Passed, attend, scaled_init, zeroed

GROUPS = 32
"""Most groups of a norm; narrow layers have fewer, of :data:`GROUP_WIDTH` channels each."""

GROUP_WIDTH = 4


def _norm(channels: int) -> nn.GroupNorm:
    groups = min(GROUPS, max(1, channels // GROUP_WIDTH))
    while channels % groups:
        groups -= 1
    return nn.GroupNorm(groups, channels)


class Attention(nn.Module):
    """``(h + P attention(Q norm(h), K norm(h), V norm(h))) / sqrt(2)`` over all positions.

    Args:
        channels: of the feature map.
        head: channels of a head, which has to divide them.
    """

    def __init__(self, channels: int, head: int) -> None:
        super().__init__()
        self.heads = channels // head
        self.norm = _norm(channels)
        self.enter = nn.Conv2d(channels, 3 * channels, 1)
        self.leave = nn.Conv2d(channels, channels, 1)

    def forward(self, h: Tensor) -> Tensor:
        """Next feature map ``[b, channels, height, width]``."""
        parts = self.enter(self.norm(h)).flatten(2).transpose(1, 2)
        query, key, value = parts.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = attend(query, key, value).permute(0, 1, 3, 2).reshape(h.shape)
        return (h + self.leave(mixed)) * math.sqrt(0.5)


class Block(nn.Module):
    """``(S h + C2 silu((1 + scale)*norm(C1 silu(norm(h))) + shift)) / sqrt(2)``, then attention.

    Args:
        channels_in, channels: of the feature map before and after.
        embedding: features of the embedding of time and class.
        head: channels of an attention head, or None for a block without attention.
    """

    def __init__(self, channels_in: int, channels: int, embedding: int, head: int | None) -> None:
        super().__init__()
        self.first_norm = _norm(channels_in)
        self.first = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.modulation = nn.Linear(embedding, 2 * channels)
        self.second_norm = _norm(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        same = channels_in == channels
        self.skip = nn.Identity() if same else nn.Conv2d(channels_in, channels, 1)
        self.attention = nn.Identity() if head is None else Attention(channels, head)

    def forward(self, h: Tensor, embedded: Tensor) -> Tensor:
        """Next feature map ``[b, channels, height, width]``."""
        scale, shift = self.modulation(embedded)[:, :, None, None].chunk(2, dim=1)
        inner = self.first(functional.silu(self.first_norm(h)))
        inner = self.second(
            functional.silu(torch.addcmul(shift, self.second_norm(inner), 1 + scale))
        )
        mixed: Tensor = self.attention((self.skip(h) + inner) * math.sqrt(0.5))
        return mixed


class Upsample(nn.Module):
    """Repetition to a given size, then a convolution: an odd size is not twice its half."""

    def __init__(self, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.convolution = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        """The feature map at the given size."""
        larger: Tensor = self.convolution(functional.interpolate(h, self.size, mode="nearest"))
        return larger


class UNet(nn.Module):
    """U-Net on images; see the module, and ``bench.models.architectures.unet`` for sizes.

    Args:
        shape: channels, height and width of one sample.
        conditions: numbers that say where in time the sample is.
        classes: number of classes, to which a null class is added; 0 for a network without any.
        channels: of the first feature map.
        multipliers: of the channels, one for each resolution; each halves the one before.
        blocks: residual blocks of a resolution on the way down; on the way up there is one more.
        attention: heights of the feature maps whose blocks have self-attention.
        head: channels of an attention head.
        embedding: features of the embedding of time and class.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        conditions: int = 1,
        classes: int = 0,
        channels: int,
        multipliers: Sequence[int],
        blocks: int,
        attention: Collection[int],
        head: int,
        embedding: int,
    ) -> None:
        super().__init__()
        colours, height, width = shape
        self.classes = classes
        self.embedding = Embedding(conditions, classes, embedding)
        sizes = [(height, width)]
        for _ in multipliers[1:]:
            sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
        self.enter = nn.Conv2d(colours, channels, 3, padding=1)
        skips, now = [channels], channels
        self.down = nn.ModuleList()
        for level, (size, multiplier) in enumerate(zip(sizes, multipliers, strict=True)):
            heads = head if size[0] in attention else None
            for _ in range(blocks):
                self.down.append(Block(now, multiplier * channels, embedding, heads))
                now = multiplier * channels
                skips.append(now)
            if level < len(sizes) - 1:
                self.down.append(nn.Conv2d(now, now, 3, stride=2, padding=1))
                skips.append(now)
        self.middle = nn.ModuleList(
            [Block(now, now, embedding, head), Block(now, now, embedding, None)]
        )
        self.up = nn.ModuleList()
        for level, (size, multiplier) in reversed(
            list(enumerate(zip(sizes, multipliers, strict=True)))
        ):
            heads = head if size[0] in attention else None
            for _ in range(blocks + 1):
                self.up.append(Block(now + skips.pop(), multiplier * channels, embedding, heads))
                now = multiplier * channels
            if level:
                self.up.append(Upsample(now, sizes[level - 1]))
        self.leave_norm = _norm(now)
        self.leave = nn.Conv2d(now, colours, 3, padding=1)
        self.passed = Passed(embedding)
        scaled_init(self)
        silent = [module.second for module in self.modules() if isinstance(module, Block)]
        mixing = [module.leave for module in self.modules() if isinstance(module, Attention)]
        zeroed(*silent, *mixing, self.leave, self.passed.gain)

    def forward(self, x: Tensor, condition: Tensor, label: Tensor | None = None) -> Tensor:
        """Map ``x [b, ...]``, ``condition [b, c]`` and ``label [b]`` to the shape of ``x``.

        A network with classes takes None for the null class ``classes`` of every sample.
        """
        embedded = self.embedding(condition, label)
        h = self.enter(x)
        skips = [h]
        for layer in self.down:
            h = layer(h, embedded) if isinstance(layer, Block) else layer(h)
            skips.append(h)
        for block in self.middle:
            h = block(h, embedded)
        for layer in self.up:
            if isinstance(layer, Block):
                h = layer(torch.cat([h, skips.pop()], dim=1), embedded)
            else:
                h = layer(h)
        output: Tensor = self.passed(self.leave(functional.silu(self.leave_norm(h))), x, embedded)
        return output


build = UNet
