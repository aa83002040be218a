"""A diffusion transformer, for images whose sides a patch divides.

The sizes of Peebles & Xie (2022, 2212.09748) are DiT-S (width 384, depth 12, heads 6; 33M
parameters there) and DiT-B (width 768, depth 12, heads 12; 130M). Here, with patches of 2 on
CIFAR-10 (3x32x32, no classes, one number of time), S has 32,398,093 and B 129,381,901; the default
has 949,637 on grey images of 14x14.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from bench.models.architectures import NetworkSpec, attention, convolution, embedding, not_an_image
from bench.options import Count


class Options(NetworkSpec):
    """Options of ``bench.models.networks.dit``.

    Attributes:
        patch: side of a patch.
        width: features of a token, and of the embedding of time and class.
        depth: number of blocks.
        heads: attention heads.
        ratio: features inside a block's perceptron, in widths.
    """

    kind: Literal["dit"]
    patch: Count = 2
    width: Annotated[Count, Field(multiple_of=4)] = 128
    depth: Count = 3
    heads: Count = 4
    ratio: Count = 4

    def describe(self) -> str:
        """Kind, width, depth, heads and patch."""
        return (
            f"{self.kind} {self.width}x{self.depth}, {self.heads} heads, "
            f"patches of {self.patch}x{self.patch}"
        )

    def fault(self, shape: Sequence[int]) -> tuple[str, str] | None:
        """No image, a patch that does not divide its sides, or heads that do not fit."""
        if (fault := not_an_image(self.kind, shape)) is not None:
            return fault
        if shape[1] % self.patch or shape[2] % self.patch:
            return "patch", f"write a divisor of both sides of an image, {shape[1]} and {shape[2]}"
        if self.width % self.heads:
            return "heads", f"write a divisor of the width, {self.width}"
        return None

    def forward_flops(self, shape: Sequence[int]) -> float:
        """Two a weight and token of the layers, and those of attention."""
        width, tokens = self.width, shape[1] * shape[2] // self.patch**2
        pixels = shape[0] * self.patch**2
        modulation = convolution(width, (6 * self.depth + 2) * width, 1)
        block = convolution(width, (4 + 2 * self.ratio) * width, tokens) + attention(width, tokens)
        ends = 2 * convolution(pixels, width, tokens)
        return embedding(width) + ends + modulation + self.depth * block
