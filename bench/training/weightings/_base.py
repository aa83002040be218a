"""The weighting's interface; see the package's docstring."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from bench.models.paths import PathCoefficients


class Weighting(Protocol):
    """A factor on the squared error of the output."""

    def __call__(self, c: PathCoefficients, gain: Tensor, gap: Tensor | None = None) -> Tensor:
        """Weights ``[b]``.

        Args:
            c: coefficients at the times of the samples.
            gain: derivative of the data by the output, ``[b]``.
            gap: distance in noise level to the neighbour that a consistency objective compares
                with, ``[b]``; None for other objectives.
        """
        ...
