"""A variance-preserving path that is known at some times only, continued between them.

Discrete diffusion models are trained at timesteps ``k = T - 1, ..., 0`` with
``alpha_k^2 = alphas_cumprod[k]`` and ``sigma_k^2 = 1 - alpha_k^2`` (Ho et al., 2020, 2006.11239).
Their log_snr is put at equidistant times, the noisiest at t = 0, and joined by the monotone cubic
of Fritsch and Carlson (SIAM J. Numer. Anal. 17, 1980): it rises wherever the table does, and its
derivative is continuous. With ``l`` for log_snr and ``l'`` for its derivative,

    alpha^2 = 1/(1 + exp(-l)),  sigma^2 = 1/(1 + exp(l)),
    d_alpha = alpha*sigma^2*l'/2,  d_sigma = -sigma*alpha^2*l'/2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.models.paths import Path

INVERSION_STEPS = 60
"""Bisections of an interval between two knots: more than float64 can tell apart."""


class Tabulated(Path):
    """A variance-preserving path through given points.

    Args:
        log_snr: ``2*log(alpha/sigma)`` at equidistant times from t = 0 to t = 1, ``[n]``.

    Raises:
        ValueError: fewer than two points, one that is not finite, or points that do not rise.
    """

    def __init__(self, log_snr: Tensor) -> None:
        knots = log_snr.detach().cpu().double()
        if knots.ndim != 1 or len(knots) < 2:
            raise ValueError(f"a table of log_snr needs two points or more, got {len(knots)}")
        if not knots.isfinite().all():
            raise ValueError("log_snr is infinite somewhere: cut the schedule where alpha is 0")
        if not (knots.diff() > 0).all():
            raise ValueError("log_snr must rise from noise to data at every point")
        self.knots = knots
        self._slopes = _monotone_slopes(knots)

    def at(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """``alpha, sigma, d_alpha, d_sigma`` at ``t [b]``."""
        value, slope = self._spline(t.double())
        signal, noise = torch.sigmoid(value), torch.sigmoid(-value)
        alpha, sigma = signal.sqrt(), noise.sqrt()
        d_alpha, d_sigma = alpha * noise * slope / 2, -sigma * signal * slope / 2
        return alpha.to(t.dtype), sigma.to(t.dtype), d_alpha.to(t.dtype), d_sigma.to(t.dtype)

    def t_of_log_snr(self, log_snr: Tensor) -> Tensor:
        """The time at which the path has ``log_snr [b]``, by bisection of the rising cubic.

        What lies beyond the table is beyond the interval: its nearest end is returned.
        """
        wanted = log_snr.double()
        knots = self.knots.to(log_snr.device)
        index = (torch.searchsorted(knots, wanted, right=True) - 1).clamp(0, len(knots) - 2)
        low, high = index.double(), index.double() + 1
        last = len(knots) - 1
        for _ in range(INVERSION_STEPS):
            middle = (low + high) / 2
            above = self._spline(middle / last)[0] > wanted
            low, high = torch.where(above, low, middle), torch.where(above, middle, high)
        return ((low + high) / 2 / last).to(log_snr.dtype)

    def _spline(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """The cubic and its derivative by t, at ``t [b]`` in float64."""
        knots, slopes = self.knots.to(t.device), self._slopes.to(t.device)
        last = len(knots) - 1
        place = t * last
        index = place.floor().long().clamp(0, last - 1)
        u = place - index
        y0, y1, m0, m1 = knots[index], knots[index + 1], slopes[index], slopes[index + 1]
        rise = y1 - y0
        # Hermite's cubic as a polynomial in u.
        square, cube = 3 * rise - 2 * m0 - m1, m0 + m1 - 2 * rise
        value = y0 + u * (m0 + u * (square + u * cube))
        return value, (m0 + u * (2 * square + 3 * u * cube)) * last


def _monotone_slopes(y: Tensor) -> Tensor:
    """Slopes ``[n]`` at unit steps: harmonic means inside, one-sided and limited at the ends."""
    steps = y.diff()
    if len(steps) == 1:
        return steps.repeat(2)
    inside = 2 * steps[:-1] * steps[1:] / (steps[:-1] + steps[1:])

    def end(near: Tensor, far: Tensor) -> Tensor:
        return ((3 * near - far) / 2).clamp(torch.zeros_like(near), 3 * near)

    return torch.cat([end(steps[0], steps[1])[None], inside, end(steps[-1], steps[-2])[None]])
