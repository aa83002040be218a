"""Min-SNR-gamma (Hang et al., 2023, 2303.09556, equation 9)."""

from __future__ import annotations

from torch import Tensor

from bench.models.paths import PathCoefficients
from bench.options import requires


class MinSnr:
    """``min(alpha^2/sigma^2, gamma)`` on the squared error of the data.

    Args:
        gamma: largest weight; 5 in the paper.
    """

    @requires("gamma > 0")
    def __init__(self, gamma: float = 5.0) -> None:
        self.gamma = gamma

    def __call__(self, c: PathCoefficients, gain: Tensor, gap: Tensor | None = None) -> Tensor:
        """Weights ``[b]``."""
        return (c.alpha / c.sigma).square().clamp(max=self.gamma) * gain.square()


build = MinSnr
