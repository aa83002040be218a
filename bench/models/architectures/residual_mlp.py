"""A residual multilayer perceptron for vectors and small images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from bench.models.architectures import NetworkSpec
from bench.options import Count


class Options(NetworkSpec):
    """Features of the residual stream, blocks, and features of the embedding of time and class."""

    kind: Literal["residual_mlp"] = "residual_mlp"
    width: Count = 256
    depth: Count = 3
    embedding: Count = 64

    def describe(self) -> str:
        """Kind, width and depth."""
        return f"{self.kind} {self.width}x{self.depth}"

    def forward_flops(self, shape: Sequence[int]) -> float:
        """Two a weight of the matrices."""
        inner = self.depth * (2 * self.width**2 + self.embedding * self.width)
        return 2.0 * (self.embedding**2 + 2 * math.prod(shape) * self.width + inner)
