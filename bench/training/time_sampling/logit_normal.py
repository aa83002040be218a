"""Logit-normal times: ``logit(t) ~ N(mean, std^2)``.

As in Esser et al., 2024, 2403.03206, section 3.1.
"""

from __future__ import annotations

import math

from torch import Tensor

from bench.models.paths import Path
from bench.options import requires
from bench.training.time_sampling._base import ends, truncated_normal


class LogitNormal:
    """``t = sigmoid(mean + std*z)``, z normal.

    Args:
        mean: of the logit; positive towards the data (papers whose time runs from data to noise
            write it with the other sign).
        std: of the logit.
        shift: SD3's shift towards the noise, which lowers the mean by ``log(shift)``.
    """

    @requires("std > 0", "shift > 0")
    def __init__(self, mean: float = 0.0, std: float = 1.0, shift: float = 1.0) -> None:
        self.mean = mean - math.log(shift)
        self.std = std

    def __call__(self, u: Tensor, path: Path) -> Tensor:
        """Times ``[b]`` from numbers ``u [b]`` in (0, 1)."""
        low, high = (ends(path).logit() - self.mean) / self.std
        logit = self.mean + self.std * truncated_normal(u, low, high)
        return path.inside(logit.sigmoid().to(u.dtype))


build = LogitNormal
