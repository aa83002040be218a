"""The variance-exploding path of EDM: ``alpha = 1``, sigma linear.

The path of Karras et al., 2022, 2206.00364. EDM's own time is the noise level itself; here it falls
linearly from ``sigma_max`` at t=0 to ``sigma_min`` at t=1. How the levels are spaced when training
or sampling is a grid, not the path.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.models.paths._base import Path
from bench.options import requires
from bench.tensors import PathCoefficients


class Edm(Path):
    """``x_t = data + sigma(t)*noise``.

    Args:
        sigma_min, sigma_max: noise levels at the data and at the noise end, in units of the data.
    """

    @requires("0 < sigma_min < sigma_max")
    def __init__(self, sigma_min: float = 0.002, sigma_max: float = 80.0) -> None:
        self.sigma_min = sigma_min
        self.sigma_max = sigma_max

    def at(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """``alpha, sigma, d_alpha, d_sigma`` at ``t [b]``."""
        # Written as a mixture of the ends so that float32 keeps sigma_min exact at t=1.
        sigma = self.sigma_max * (1 - t) + self.sigma_min * t
        slope = torch.full_like(t, self.sigma_min - self.sigma_max)
        return torch.ones_like(t), sigma, torch.zeros_like(t), slope

    @staticmethod
    def at_level(level: Tensor) -> PathCoefficients:
        """Coefficients at noise levels ``[b]``, with the level itself as time (EDM's own)."""
        ones = torch.ones_like(level)
        return PathCoefficients(ones, level, torch.zeros_like(ones), ones)

    def t_of_log_snr(self, log_snr: Tensor) -> Tensor:
        """The time at which the path has ``log_snr [b]``, in closed form."""
        sigma = torch.exp(-log_snr / 2)
        return (self.sigma_max - sigma) / (self.sigma_max - self.sigma_min)


build = Edm
