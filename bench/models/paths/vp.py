"""The variance-preserving path with linear beta (Song et al., 2020, 2011.13456, equation 32).

With diffusion time ``s = 1 - t``: ``log alpha = -s^2*(beta_max - beta_min)/4 - s*beta_min/2`` and
``sigma^2 = 1 - alpha^2``. This is the one place where diffusion time appears.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

from bench.models.paths._base import T_DATA, T_NOISE, Path
from bench.options import requires


class Vp(Path):
    """Variance-preserving diffusion, ``beta(s) = beta_min + s*(beta_max - beta_min)``.

    Args:
        beta_min, beta_max: noise rate at the data and at the noise end.
        truncation: the path is used for ``t <= 1 - truncation``; ``d_sigma`` grows without bound
            towards t=1 (-5.7 at 1e-3, -50 at 1e-5).
    """

    @requires("0 < beta_min < beta_max", "0 < truncation < 1")
    def __init__(
        self, beta_min: float = 0.1, beta_max: float = 20.0, truncation: float = 1e-3
    ) -> None:
        self.beta_min = beta_min
        self.beta_max = beta_max
        self.interval = (T_NOISE, T_DATA - truncation)

    def at(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """``alpha, sigma, d_alpha, d_sigma`` at ``t [b]``."""
        s = T_DATA - t
        beta = self.beta_min + s * (self.beta_max - self.beta_min)
        log_alpha = -s * (s * (self.beta_max - self.beta_min) / 4 + self.beta_min / 2)
        alpha = log_alpha.exp()
        sigma = (-torch.expm1(2 * log_alpha)).sqrt()
        d_alpha = alpha * beta / 2
        return alpha, sigma, d_alpha, -alpha * d_alpha / sigma

    def t_of_log_snr(self, log_snr: Tensor) -> Tensor:
        """The time at which the path has ``log_snr [b]``, in closed form."""
        negative_log_alpha = softplus(-log_snr) / 2
        delta = self.beta_max - self.beta_min
        half = self.beta_min / 2
        root = (half**2 + delta * negative_log_alpha).sqrt()
        return T_DATA - 2 * negative_log_alpha / (half + root)


build = Vp
