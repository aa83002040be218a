"""Signal-to-noise ratio on the error of the data, which is unit weight on that of the noise.

Ho et al. (2020, 2006.11239) train noise prediction with it; Kingma & Gao (2023, 2303.00848) compare
weightings.
"""

from __future__ import annotations

from torch import Tensor

from bench.models.paths import PathCoefficients


class Snr:
    """``alpha^2/sigma^2`` on the squared error of the data."""

    def __call__(self, c: PathCoefficients, gain: Tensor, gap: Tensor | None = None) -> Tensor:
        """Weights ``[b]``."""
        return (gain * c.alpha / c.sigma).square()


build = Snr
