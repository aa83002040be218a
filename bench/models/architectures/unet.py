"""The U-Net of the field, for images of any size.

Sizes by which others are known, here with their parameters on CIFAR-10 (3x32x32, no classes, one
number of time):

==============================  ==========  ===========  ======  =========  =========  ==========
network                         channels    multipliers  blocks  attention  embedding  parameters
==============================  ==========  ===========  ======  =========  =========  ==========
DDPM: 35.7M                     128         1, 2, 2, 2   2       16         256        35,505,284
DDPM++ of EDM: 55.7M            128         2, 2, 2      4       16         400        55,638,196
==============================  ==========  ===========  ======  =========  =========  ==========

They are those of Ho et al., 2020, 2006.11239, and of Karras et al., 2022, 2206.00364. Each with
heads of 64 channels; DDPM's and EDM's have one head. Their blocks add the embedding where
these scale and shift by it, which takes twice the weights: the embedding is narrower for that.

On grey images of 14x14 the default has 1,145,154 parameters, and channels of 16 with multipliers 1,
2, 4 and attention at 7 have 758,594. On grey images of 28x28, channels of 64 with multipliers 1, 2,
2, two blocks and attention at 7 have 6,414,274.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field

from bench.models.architectures import NetworkSpec, attention, convolution, embedding, not_an_image
from bench.options import Count

Size = tuple[int, int]
"""Height and width of a feature map."""


class Options(NetworkSpec):
    """Options of ``bench.models.networks.unet``.

    Attributes:
        channels: of the first feature map.
        multipliers: of the channels, one for each resolution; each halves the one before, an odd
            side rounded up: 14, 7, 4.
        blocks: residual blocks of a resolution on the way down; on the way up there is one more.
        attention: heights of the feature maps whose blocks have self-attention. The one between
            the ways down and up has it always.
        head: channels of an attention head.
        embedding: features of the embedding of time and class.
    """

    kind: Literal["unet"]
    channels: Count = 32
    multipliers: Annotated[tuple[Count, ...], Field(min_length=1)] = (1, 2, 2)
    blocks: Count = 1
    attention: tuple[Count, ...] = ()
    head: Count = 32
    embedding: Count = 128

    def describe(self) -> str:
        """Kind, channels, blocks and the heights of attention."""
        channels = ", ".join(str(self.channels * multiplier) for multiplier in self.multipliers)
        heights = ", ".join(map(str, self.attention))
        places = f" at {heights} and" if heights else ""
        blocks = "block" if self.blocks == 1 else "blocks"
        return (
            f"{self.kind} of {channels} channels, {self.blocks} {blocks} each, "
            f"attention{places} in the middle"
        )

    def sizes(self, shape: Sequence[int]) -> tuple[Size, ...]:
        """Height and width at each resolution, for images ``[channels, height, width]``."""
        sizes = [(shape[1], shape[2])]
        for _ in self.multipliers[1:]:
            height, width = sizes[-1]
            sizes.append(((height + 1) // 2, (width + 1) // 2))
        return tuple(sizes)

    def fault(self, shape: Sequence[int]) -> tuple[str, str] | None:
        """No image, one too small, a height without a feature map, or heads that do not fit."""
        if (fault := not_an_image(self.kind, shape)) is not None:
            return fault
        sizes = self.sizes(shape)
        if any(smaller == larger for larger, smaller in pairwise(sizes)):
            most = 1 + sum(smaller != larger for larger, smaller in pairwise(sizes))
            return "multipliers", f"images of {shape[1]}x{shape[2]} have {most} resolutions at most"
        heights = [height for height, _ in sizes]
        if unknown := [height for height in self.attention if height not in heights]:
            listed = ", ".join(map(str, heights))
            return "attention", f"no feature map has the height {unknown[0]}; they have {listed}"
        mixing = dict(zip(heights, self.multipliers, strict=True))
        for multiplier in (*map(mixing.__getitem__, self.attention), self.multipliers[-1]):
            if (channels := multiplier * self.channels) % self.head:
                return "head", f"write a divisor of {channels}, the channels where attention is"
        return None

    def forward_flops(self, shape: Sequence[int]) -> float:
        """Two a weight and position of the convolutions, and those of attention."""
        return embedding(self.embedding) + sum(self._layers(shape))

    def _layers(self, shape: Sequence[int]) -> Iterator[float]:
        """Operations of each layer, in the order of the network."""
        sizes = self.sizes(shape)
        now = self.channels
        yield convolution(shape[0], now, shape[1] * shape[2], 3)
        skips = [now]
        for level, multiplier in enumerate(self.multipliers):
            for _ in range(self.blocks):
                yield self._block(now, multiplier, sizes[level], sizes[level][0] in self.attention)
                now = multiplier * self.channels
                skips.append(now)
            if level < len(sizes) - 1:
                yield convolution(now, now, sizes[level + 1][0] * sizes[level + 1][1], 3)
                skips.append(now)
        for mixes in (True, False):
            yield self._block(now, self.multipliers[-1], sizes[-1], mixes)
        for level, multiplier in reversed(list(enumerate(self.multipliers))):
            for _ in range(self.blocks + 1):
                mixes = sizes[level][0] in self.attention
                yield self._block(now + skips.pop(), multiplier, sizes[level], mixes)
                now = multiplier * self.channels
            if level:
                yield convolution(now, now, sizes[level - 1][0] * sizes[level - 1][1], 3)
        yield convolution(now, shape[0], shape[1] * shape[2], 3)

    def _block(self, inputs: int, multiplier: int, size: Size, mixes: bool) -> float:
        channels, positions = multiplier * self.channels, size[0] * size[1]
        total = convolution(inputs + channels, channels, positions, 3)
        total += convolution(self.embedding, 2 * channels, 1)
        if inputs != channels:
            total += convolution(inputs, channels, positions)
        if mixes:
            total += convolution(channels, 4 * channels, positions)
            total += attention(channels, positions)
        return total
