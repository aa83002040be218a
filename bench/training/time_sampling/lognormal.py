"""Lognormal noise levels, as in EDM and iCT.

EDM is Karras et al., 2022, 2206.00364, table 1; iCT is Song & Dhariwal, 2023, 2310.14189, section
3.5.
"""

from __future__ import annotations

from torch import Tensor

from bench.models.paths import Path
from bench.options import requires
from bench.training.time_sampling._base import ends, truncated_normal


class Lognormal:
    """``log(sigma/alpha) ~ N(mean, std^2)``, on any path.

    Args:
        mean: of the log noise level; -1.2 in EDM, -1.1 in iCT.
        std: of the log noise level; 1.2 in EDM, 2.0 in iCT.
    """

    @requires("std > 0")
    def __init__(self, mean: float = -1.2, std: float = 1.2) -> None:
        self.mean = mean
        self.std = std

    def __call__(self, u: Tensor, path: Path) -> Tensor:
        """Times ``[b]`` from numbers ``u [b]`` in (0, 1)."""
        # The level falls while time rises.
        low, high = (path.log_snr(ends(path)) / 2 + self.mean) / self.std
        rising = truncated_normal(u, low, high) * self.std - self.mean
        return path.inside(path.t_of_log_snr(2 * rising).to(u.dtype))


build = Lognormal
