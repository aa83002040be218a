"""The cosine schedule of improved DDPM (Nichol & Dhariwal, 2021, 2102.09672, equation 17).

With diffusion time ``s = 1 - t`` and ``theta(s) = (s + offset)/(1 + offset)*pi/2``::

    alpha = cos(theta(s))/cos(theta(0)),    sigma^2 = 1 - alpha^2

The offset keeps the noise near the data from being imperceptibly small; at 0 the path is the
trigonometric one. The paper clips the last discrete noise rate instead of truncating.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

from bench.models.paths._base import T_DATA, T_NOISE, Path
from bench.options import requires


class Cosine(Path):
    """Variance preserving, with a cosine for alpha.

    Args:
        offset: the paper's ``s``.
        truncation: the path is used for ``truncation <= t <= 1 - truncation``: alpha vanishes at
            t=0, and ``d_sigma`` grows without bound towards t=1.
    """

    @requires("0 < offset < 1", "0 < truncation < 0.5")
    def __init__(self, offset: float = 0.008, truncation: float = 1e-3) -> None:
        self.offset = offset
        self.interval = (T_NOISE + truncation, T_DATA - truncation)

    @property
    def _rate(self) -> float:
        return math.pi / 2 / (1 + self.offset)

    def at(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """``alpha, sigma, d_alpha, d_sigma`` at ``t [b]``."""
        rate, first = self._rate, self._rate * self.offset
        # Products of sines instead of differences of squares of cosines: exact at both ends.
        alpha = torch.sin(rate * t) / math.cos(first)
        left = rate * (T_DATA - t)
        sigma = (torch.sin(left) * torch.sin(left + 2 * first)).sqrt() / math.cos(first)
        d_alpha = rate * torch.cos(rate * t) / math.cos(first)
        return alpha, sigma, d_alpha, -alpha * d_alpha / sigma

    def t_of_log_snr(self, log_snr: Tensor) -> Tensor:
        """The time at which the path has ``log_snr [b]``, in closed form."""
        first = self._rate * self.offset
        alpha = torch.exp(-softplus(-log_snr) / 2)
        sigma = torch.exp(-softplus(log_snr) / 2)
        # The angle from its sine and its cosine; cos^2 = sin^2(first) + sigma^2*cos^2(first).
        sine = alpha * math.cos(first)
        cosine = (math.sin(first) ** 2 + (sigma * math.cos(first)) ** 2).sqrt()
        return torch.atan2(sine, cosine) / self._rate


build = Cosine
