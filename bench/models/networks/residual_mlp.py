"""A residual multilayer perceptron for vectors and small images.

Pre-norm residual blocks whose first layer is modulated by an embedding of time and,
where there are classes, of the class. The residual stream
itself is not normalised before the last layer: at high noise the target is almost the input, and a
noise prediction has to pass it on to a fraction of a percent, its length included. The last layer
starts at zero, so that an untrained network outputs zero and its average has nothing to forget.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class FourierFeatures(nn.Module):
    """``[sin(w*c), cos(w*c)]`` at geometric frequencies ``w``: ``[b, c] -> [b, c*features]``."""

    frequencies: Tensor

    def __init__(self, features: int, lowest: float = 0.25, highest: float = 8.0) -> None:
        super().__init__()
        exponents = torch.linspace(math.log(lowest), math.log(highest), features // 2)
        self.register_buffer("frequencies", exponents.exp(), persistent=False)

    def forward(self, condition: Tensor) -> Tensor:
        """Features of conditions ``[b, c]``."""
        angles = (condition[:, :, None] * self.frequencies).flatten(1)
        return torch.cat([angles.sin(), angles.cos()], dim=1)


class Block(nn.Module):
    """``h + W2 silu(W1 norm(h) + E e)``."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, width)
        self.modulation = nn.Linear(embedding, width)
        self.outer = nn.Linear(width, width)

    def forward(self, h: Tensor, embedded: Tensor) -> Tensor:
        """Next residual stream ``[b, width]``, given the time embedding."""
        inner = self.inner(self.norm(h)) + self.modulation(embedded)
        return h + self.outer(nn.functional.silu(inner))


class ResidualMlp(nn.Module):
    """Residual MLP on flattened samples.

    Args:
        shape: shape of one sample.
        conditions: numbers that say where in time the sample is.
        classes: number of classes, to which a null class is added; 0 for a network without any.
        width: features of the residual stream.
        depth: number of residual blocks.
        embedding: features of the embedding of time and class.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        conditions: int = 1,
        classes: int = 0,
        width: int = 256,
        depth: int = 3,
        embedding: int = 64,
    ) -> None:
        super().__init__()
        features = math.prod(shape)
        self.classes = classes
        self.time = nn.Sequential(
            FourierFeatures(embedding), nn.Linear(conditions * embedding, embedding)
        )
        if classes:
            self.label = nn.Embedding(classes + 1, embedding)
        self.enter = nn.Linear(features, width)
        self.blocks = nn.ModuleList(Block(width, embedding) for _ in range(depth))
        self.leave = nn.Linear(width, features)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, x: Tensor, condition: Tensor, label: Tensor | None = None) -> Tensor:
        """Map ``x [b, ...]``, ``condition [b, c]`` and ``label [b]`` to the shape of ``x``.

        A network with classes takes None for the null class ``classes`` of every sample.
        """
        embedded = self.time(condition)
        if self.classes:
            null = torch.full((len(x),), self.classes, device=x.device)
            embedded = embedded + self.label(null if label is None else label)
        embedded = nn.functional.silu(embedded)
        h = self.enter(x.flatten(1))
        for block in self.blocks:
            h = block(h, embedded)
        return self.leave(h).reshape(x.shape)


build = ResidualMlp
