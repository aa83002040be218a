"""The path's interface; see the package's docstring."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Self

import torch
from torch import Tensor

from bench.tensors import PathCoefficients

T_NOISE = 0.0


T_DATA = 1.0


class Path(ABC):
    """A Gaussian probability path.

    Attributes:
        interval: the times (start, end) at which the path is used; velocity, score and both
            posterior means are finite inside it, and it is recorded with every result.
    """

    interval: tuple[float, float] = (T_NOISE, T_DATA)

    def coefficients(self, t: Tensor) -> PathCoefficients:
        """``alpha, sigma`` and their time derivatives at ``t [b]``, in float32 at least.

        Times in half precision are few near the ends (bfloat16 has none between 0.996 and 1):
        what they mean is computed in float32.
        """
        t = t.float() if t.dtype in (torch.float16, torch.bfloat16) else t
        return PathCoefficients(*self.at(t), t)

    @abstractmethod
    def at(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """``alpha, sigma, d_alpha, d_sigma`` at ``t [b]``, in the precision of ``t``."""

    @abstractmethod
    def t_of_log_snr(self, log_snr: Tensor) -> Tensor:
        """The time at which the path has ``log_snr [b]``; inverse of :meth:`log_snr`."""

    def log_snr(self, t: Tensor) -> Tensor:
        """``2*log(alpha/sigma)`` at ``t [b]``; strictly increasing."""
        return self.coefficients(t).log_snr

    def inside(self, t: Tensor) -> Tensor:
        """Times ``t [b]`` in float32 at least, moved into the interval where rounding left it."""
        t = t.float() if t.dtype in (torch.float16, torch.bfloat16) else t
        return t.clamp(*self.interval)

    def cut(self, start: float | None = None, end: float | None = None) -> Self:
        """The same path, used from ``start`` to ``end`` only; None keeps an end as it is."""
        path = copy.copy(self)
        first, last = self.interval
        path.interval = (first if start is None else start, last if end is None else end)
        return path

    def start_scale(self) -> float:
        """``sigma`` at the start of the interval: sampling begins at ``start_scale*z``."""
        start = torch.tensor([self.interval[0]], dtype=torch.float64)
        return float(self.coefficients(start).sigma)
