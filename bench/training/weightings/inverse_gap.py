"""Inverse distance between neighbouring noise levels, as in iCT.

iCT is Song & Dhariwal, 2023, 2310.14189, section 3.1. With it the loss of a consistency objective
estimates a slope, whatever the number of levels.
"""

from __future__ import annotations

from torch import Tensor

from bench.models.paths import PathCoefficients


class InverseGap:
    """``1/(s_far - s_near)``; for consistency objectives, whose error is that of the data."""

    def __call__(self, c: PathCoefficients, gain: Tensor, gap: Tensor | None = None) -> Tensor:
        """Weights ``[b]``."""
        if gap is None:
            raise ValueError("the weighting 'inverse_gap' needs an objective with neighbours")
        return 1 / gap


build = InverseGap
