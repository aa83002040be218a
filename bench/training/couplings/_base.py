"""The pair and the coupling's interface; see the package's docstring."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Pair(NamedTuple):
    """Noise and data of one batch, ``[b, ...]`` each, and the class of each datum, ``[b]``."""

    noise: Tensor
    data: Tensor
    label: Tensor | None = None


class Coupling(Protocol):
    """Joint law of noise and data."""

    def __call__(self, pair: Pair, generator: torch.Generator) -> Pair:
        """Re-pair a batch; every random choice comes from ``generator``."""
        ...
