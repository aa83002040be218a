"""Noise levels of EDM, for grids and for objectives that train along them."""

from __future__ import annotations

import torch
from torch import Tensor

RHO = 7.0


def karras_levels(lowest: float, highest: float, count: int, rho: float = RHO) -> Tensor:
    """``count`` intervals between falling noise levels: ``[count + 1]``, float64.

    Equal steps of ``level**(1/rho)`` (EDM, Karras et al., 2022, 2206.00364, equation 5).
    """
    ends = torch.tensor([highest, lowest], dtype=torch.float64) ** (1 / rho)
    levels = torch.linspace(float(ends[0]), float(ends[1]), count + 1, dtype=torch.float64) ** rho
    levels[0], levels[-1] = highest, lowest
    return levels
