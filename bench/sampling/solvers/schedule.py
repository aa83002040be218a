"""The points of a grid as the solvers of the diffusion literature see them.

They know a path only through ``alpha`` and ``sigma`` at points of time, and the time only to hand
it to the model. With ``x = alpha*data + sigma*noise`` all of them hold on any Gaussian path.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from bench.sampling.solvers.grids import Clock


class Coefficients(Protocol):
    """``alpha`` and ``sigma`` of a path at times ``[n]``."""

    @property
    def alpha(self) -> Tensor:
        """Weight of the data."""
        ...

    @property
    def sigma(self) -> Tensor:
        """Weight of the noise."""
        ...


class Path(Clock, Protocol):
    """What a solver sees of a path."""

    def coefficients(self, t: Tensor) -> Coefficients:
        """At times ``[n]``."""
        ...


class Point(NamedTuple):
    """A point of the grid, in float64 on the host.

    Attributes:
        t: time on the path.
        alpha, sigma: the path's coefficients there.
    """

    t: float
    alpha: float
    sigma: float

    @property
    def half_log_snr(self) -> float:
        """``log(alpha/sigma)``: -inf in pure noise, inf in pure data."""
        if self.alpha == 0:
            return -math.inf
        return math.inf if self.sigma == 0 else math.log(self.alpha) - math.log(self.sigma)


Denoiser = Callable[[Tensor, Point], Tensor]
"""Estimate of the data at ``x [b, ...]`` and a point of the grid."""

Noise = Callable[[int], Tensor]
"""Fresh standard normal numbers ``[b, ...]`` for the interval of an index."""


@dataclass(frozen=True)
class Schedule:
    """A grid on a path.

    Args:
        path: gives the coefficients.
        points: the ``n + 1`` points of the grid, from noise to data.
    """

    path: Path
    points: tuple[Point, ...]

    @classmethod
    def of(cls, path: Path, times: Tensor) -> Schedule:
        """The schedule of ``times [n + 1]``, float64."""
        return cls(path, _points(path, times))

    def at(self, half_log_snr: float) -> Point:
        """The point of the path where ``log(alpha/sigma)`` is this."""
        times = self.path.t_of_log_snr(torch.tensor([2 * half_log_snr], dtype=torch.float64))
        return _points(self.path, times)[0]


def _points(path: Path, times: Tensor) -> tuple[Point, ...]:
    c = path.coefficients(times)
    rows = zip(times.tolist(), c.alpha.tolist(), c.sigma.tolist(), strict=True)
    return tuple(Point(t, alpha, sigma) for t, alpha, sigma in rows)
