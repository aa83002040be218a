"""A diffusion transformer (DiT): attention between patches of an image.

The network of Peebles & Xie, 2022, 2212.09748. An image becomes a sequence of patches, to which a
fixed embedding of their place is added. In each block the embedding of time and class gives scale,
shift and gate of attention and of a perceptron (adaLN-Zero). The gates and the last layer start at
zero: an untrained network outputs zero, each block passes its input on, and the average has nothing
to forget. The input reaches the output by a path of its own, see
:class:`bench.models.networks._base.Passed`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.models.networks._base import Embedding, Passed, attend, scaled_init, zeroed

LONGEST = 10_000.0
"""Longest wave of the embedding of places, in patches and without 2*pi.

The embedding is that of Vaswani et al., 2017, 1706.03762.
"""


def places(rows: int, columns: int, width: int) -> Tensor:
    """Sines and cosines of row and column, a half of the features each: ``[rows*columns, width]``.

    The width has to be a multiple of 4.
    """
    frequencies = LONGEST ** -torch.linspace(0, 1, width // 4 + 1)[:-1]
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    angles = torch.stack([row.flatten(), column.flatten()], dim=1)[:, :, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=2).flatten(1)


def modulated(h: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """``(1 + scale)*norm(h) + shift`` over the features of tokens ``[b, n, width]``."""
    normal = functional.layer_norm(h, h.shape[-1:], eps=1e-6)
    return torch.addcmul(shift, normal, 1 + scale)


class Block(nn.Module):
    """``h + g1*attention(mod1 h)``, then ``h + g2*perceptron(mod2 h)``.

    Args:
        width: features of a token.
        heads: attention heads, which have to divide the width.
        ratio: features inside the perceptron, in widths.
    """

    def __init__(self, width: int, heads: int, ratio: int) -> None:
        super().__init__()
        self.heads = heads
        self.modulation = nn.Linear(width, 6 * width)
        self.enter = nn.Linear(width, 3 * width)
        self.leave = nn.Linear(width, width)
        self.perceptron = nn.Sequential(
            nn.Linear(width, ratio * width),
            nn.GELU(approximate="tanh"),
            nn.Linear(ratio * width, width),
        )

    def forward(self, h: Tensor, embedded: Tensor) -> Tensor:
        """Next tokens ``[b, n, width]``."""
        scale, shift, gate, scale_2, shift_2, gate_2 = self.modulation(embedded)[:, None].chunk(
            6, dim=2
        )
        parts = self.enter(modulated(h, scale, shift)).unflatten(2, (3, self.heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        h = torch.addcmul(h, gate, self.leave(attend(query, key, value).transpose(1, 2).flatten(2)))
        return torch.addcmul(h, gate_2, self.perceptron(modulated(h, scale_2, shift_2)))


class DiT(nn.Module):
    """Diffusion transformer on images, of the sizes in ``bench.models.architectures.dit``.

    Args:
        shape: channels, height and width of one sample; the patch has to divide both sides.
        conditions: numbers that say where in time the sample is.
        classes: number of classes, to which a null class is added; 0 for a network without any.
        patch: side of a patch.
        width: features of a token, a multiple of 4, and of the embedding of time and class.
        depth: number of blocks.
        heads: attention heads.
        ratio: features inside a block's perceptron, in widths.
    """

    places: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        *,
        conditions: int = 1,
        classes: int = 0,
        patch: int,
        width: int,
        depth: int,
        heads: int,
        ratio: int,
    ) -> None:
        super().__init__()
        colours, height, side = shape
        self.classes = classes
        self.grid = (height // patch, side // patch)
        self.embedding = Embedding(conditions, classes, width)
        self.enter = nn.Conv2d(colours, width, patch, stride=patch)
        self.register_buffer("places", places(*self.grid, width), persistent=False)
        blocks = [Block(width, heads, ratio) for _ in range(depth)]
        self.blocks = nn.ModuleList(blocks)
        self.modulation = nn.Linear(width, 2 * width)
        self.leave = nn.Linear(width, colours * patch * patch)
        self.unpatch = nn.PixelShuffle(patch)
        self.passed = Passed(width)
        scaled_init(self)
        zeroed(*(block.modulation for block in blocks), self.modulation)
        zeroed(self.leave, self.passed.gain)

    def forward(self, x: Tensor, condition: Tensor, label: Tensor | None = None) -> Tensor:
        """Map ``x [b, ...]``, ``condition [b, c]`` and ``label [b]`` to the shape of ``x``.

        A network with classes takes None for the null class ``classes`` of every sample.
        """
        embedded = self.embedding(condition, label)
        h = self.enter(x).flatten(2).transpose(1, 2) + self.places
        for block in self.blocks:
            h = block(h, embedded)
        scale, shift = self.modulation(embedded)[:, None].chunk(2, dim=2)
        patches = self.leave(modulated(h, scale, shift)).transpose(1, 2).unflatten(2, self.grid)
        output: Tensor = self.passed(self.unpatch(patches), x, embedded)
        return output


build = DiT
