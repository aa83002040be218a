"""Flow matching's weight of each log_snr on any path (Kingma & Gao, 2023, 2303.00848, appendix D).

On the linear path an error of the data is an error ``1/sigma`` times as large of the velocity, and
``1/sigma = 1 + alpha/sigma`` there. The same weight, as a function of log_snr, on another path.
"""

from __future__ import annotations

from torch import Tensor

from bench.models.paths import PathCoefficients


class LinearVelocity:
    """``(1 + alpha/sigma)^2`` on the squared error of the data."""

    def __call__(self, c: PathCoefficients, gain: Tensor, gap: Tensor | None = None) -> Tensor:
        """Weights ``[b]``."""
        return (gain * (1 + c.alpha / c.sigma)).square()


build = LinearVelocity
