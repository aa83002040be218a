"""Truncated SNR weighting of progressive distillation.

The weighting of Salimans & Ho, 2022, 2202.00512, section 4.
"""

from __future__ import annotations

from torch import Tensor

from bench.models.paths import PathCoefficients
from bench.options import requires


class TruncatedSnr:
    """``max(alpha^2/sigma^2, 1)`` on the squared error of the data.

    Args:
        largest: bound where the ratio has no end, as at the data end of many paths.
    """

    @requires("largest >= 1")
    def __init__(self, largest: float = 1e4) -> None:
        self.largest = largest

    def __call__(self, c: PathCoefficients, gain: Tensor, gap: Tensor | None = None) -> Tensor:
        """Weights ``[b]``."""
        return (c.alpha / c.sigma).square().clamp(1.0, self.largest) * gain.square()


build = TruncatedSnr
