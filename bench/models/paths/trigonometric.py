"""The trigonometric path, ``alpha = sin(pi*t/2)``, ``sigma = cos(pi*t/2)``.

Generalised variance preserving (GVP) in SiT (Ma et al., 2024, 2401.08740) and stochastic
interpolants (Albergo & Vanden-Eijnden, 2022, 2209.15571); the continuous cosine schedule of
Salimans & Ho, 2022, 2202.00512; TrigFlow (Lu & Song, 2024, 2410.11081) for data of unit variance,
with the angle running from data to noise.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bench.models.paths._base import T_DATA, Path


class Trigonometric(Path):
    """A quarter of a circle from noise to data; both ends are exact and all coefficients finite."""

    def at(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """``alpha, sigma, d_alpha, d_sigma`` at ``t [b]``."""
        quarter = math.pi / 2
        # cos(pi/2*t) as a sine of what is left, which is exact at t=1.
        alpha, sigma = torch.sin(quarter * t), torch.sin(quarter * (T_DATA - t))
        return alpha, sigma, quarter * sigma, -quarter * alpha

    def t_of_log_snr(self, log_snr: Tensor) -> Tensor:
        """The time at which the path has ``log_snr [b]``, in closed form."""
        # The arc tangent of the smaller ratio keeps its digits at either end.
        angle = torch.atan(torch.exp(-log_snr.abs() / 2)) / (math.pi / 2)
        return torch.where(log_snr < 0, angle, T_DATA - angle)


build = Trigonometric
