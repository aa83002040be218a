"""The start of the path alone: what a one-step student is asked.

As in Liu et al., 2022, 2209.03003, section 3.3.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.models.paths import Path


class Start:
    """Always the first time of the path's interval."""

    def __call__(self, u: Tensor, path: Path) -> Tensor:
        """Times ``[b]``, whatever ``u [b]``."""
        return torch.full_like(u, path.interval[0])


build = Start
