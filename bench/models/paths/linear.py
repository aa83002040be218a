"""The linear path, ``alpha = t``, ``sigma = 1 - (1 - sigma_min)*t``.

Lipman et al. (2022, 2210.02747), equation 20, call it the OT path; with ``sigma_min = 0`` it is the
straight interpolation of rectified flow (Liu et al., 2022, 2209.03003). Optimal-transport
*couplings* (Tong et al., 2023, 2302.00482) are another matter: see ``bench.training.couplings``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.models.paths._base import Path
from bench.options import requires


class Linear(Path):
    """Straight interpolation between noise and data.

    Args:
        sigma_min: noise left at t=1, in units of the data; 0 ends exactly at the data.
    """

    @requires("0 <= sigma_min < 1")
    def __init__(self, sigma_min: float = 0.0) -> None:
        self.sigma_min = sigma_min

    def at(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """``alpha, sigma, d_alpha, d_sigma`` at ``t [b]``."""
        slope = 1 - self.sigma_min
        return t, 1 - slope * t, torch.ones_like(t), torch.full_like(t, -slope)

    def t_of_log_snr(self, log_snr: Tensor) -> Tensor:
        """The time at which the path has ``log_snr [b]``, in closed form."""
        return 1 / (torch.exp(-log_snr / 2) + (1 - self.sigma_min))


build = Linear
