"""Noise and data drawn independently of each other."""

from __future__ import annotations

import torch

from bench.training.couplings._base import Pair


class Independent:
    """The product law: the batch as it was drawn."""

    def __call__(self, pair: Pair, generator: torch.Generator) -> Pair:
        """The pair itself."""
        return pair


build = Independent
