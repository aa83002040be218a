"""SD3's mode sampling with heavy tails (Esser et al., 2024, 2403.03206, section 3.1).

With ``u`` uniform, ``t = 1 - u - scale*(cos^2(pi*u/2) - 1 + u)``: the middle of the path is drawn
more often for positive scales, the ends for negative ones, and both ends keep some density. The
law is symmetric about 1/2, so that it does not care which way time runs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bench.models.paths import Path
from bench.options import requires
from bench.training.time_sampling._base import ends, shifted, unshifted

BISECTIONS = 40


class Mode:
    """Heavy-tailed law around the middle.

    Args:
        scale: in [-1, 2/(pi - 2)], where the map is monotone; 1.29 in the paper.
        shift: SD3's shift of the times; 1 for none.
    """

    @requires("-1 <= scale <= 2 / (pi - 2)", "shift > 0")
    def __init__(self, scale: float = 1.29, shift: float = 1.0) -> None:
        self.scale = scale
        self.shift = shift

    def __call__(self, u: Tensor, path: Path) -> Tensor:
        """Times ``[b]`` from numbers ``u [b]`` in (0, 1)."""
        first, last = self._level(unshifted(ends(path), self.shift))
        within = first + (last - first) * u.double()
        return path.inside(shifted(self._quantile(within), self.shift).to(u.dtype))

    def _quantile(self, u: Tensor) -> Tensor:
        """The paper's map of ``1 - u``, which rises with ``u``."""
        return u - self.scale * (torch.sin(math.pi / 2 * u) ** 2 - u)

    def _level(self, t: Tensor) -> Tensor:
        """Distribution function at ``t``: the inverse of the map, by bisection."""
        low, high = torch.zeros_like(t), torch.ones_like(t)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            below = self._quantile(middle) < t
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return torch.where(t <= 0, 0.0, torch.where(t >= 1, 1.0, (low + high) / 2))


build = Mode
