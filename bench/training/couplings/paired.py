"""Pairs stored by an earlier stage (reflow, Liu et al., 2022, 2209.03003, section 2.2).

The noise of a pair is the start, its data the end of the earlier model's own probability flow.
"""

from __future__ import annotations

import torch

from bench.training.couplings._base import Pair


class Paired:
    """The pairs as they were stored; noise is not drawn again."""

    def __call__(self, pair: Pair, generator: torch.Generator) -> Pair:
        """The pair itself."""
        return pair


build = Paired
