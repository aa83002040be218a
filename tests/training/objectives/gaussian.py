"""Exact answers where the data are Gaussian: every trajectory is a ray from the origin.

For data ``N(0, sd^2 I)`` and independent noise the state at time t is ``k(t)*z`` with
``k^2 = alpha^2*sd^2 + sigma^2``, for one z a trajectory.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench.models.path_model import TIME_SPREAD, PathModel
from bench.models.paths import Path

SD = 0.6

Exact = Callable[[Tensor, Tensor, Tensor], Tensor]
"""The wanted output at ``x [b, ...]``, ``t [b]`` and the interval ahead, ``[b]``."""


def scale(path: Path, t: Tensor) -> Tensor:
    """``k(t)``, in the shape of ``t``."""
    c = path.coefficients(t)
    return (c.alpha**2 * SD**2 + c.sigma**2).sqrt()


def rate(path: Path, t: Tensor) -> Tensor:
    """``d(log k)/dt``, in the shape of ``t``."""
    c = path.coefficients(t)
    return (c.alpha * c.d_alpha * SD**2 + c.sigma * c.d_sigma) / scale(path, t) ** 2


def velocity(path: Path, x: Tensor, t: Tensor) -> Tensor:
    """Velocity of the probability flow at ``x [b, ...]`` and ``t [b]``."""
    return rate(path, t)[:, None] * x


class Told(nn.Module):
    """A network that outputs ``exact``: it undoes what PathModel does to its input."""

    def __init__(self, path: Path, exact: Exact) -> None:
        super().__init__()
        self.path = path
        self.exact = exact
        self.factor = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, x: Tensor, condition: Tensor, label: Tensor | None) -> Tensor:
        told = condition / TIME_SPREAD + 0.5
        t, ahead = told[:, 0], told[:, -1]
        return self.factor * self.exact(x * scale(self.path, t)[:, None], t, ahead)


def average_velocity_model(path: Path) -> PathModel:
    """A model that knows the average velocity over every interval."""

    def exact(x: Tensor, t: Tensor, ahead: Tensor) -> Tensor:
        empty = ahead.abs() < 1e-6
        length = torch.where(empty, 1.0, ahead)
        average = (scale(path, t + length) / scale(path, t) - 1) / length
        return torch.where(empty, rate(path, t), average)[:, None] * x

    return PathModel(Told(path, exact), path, "velocity", SD, "interval")


def v_model(path: Path, change: float = 0.0) -> PathModel:
    """A model in v-prediction of the exact field, or of one that is off by ``change*x*t``."""

    def exact(x: Tensor, t: Tensor, ahead: Tensor) -> Tensor:
        c = path.coefficients(t)
        # E[data|x] = alpha*sd^2*x/k^2 and E[noise|x] = sigma*x/k^2.
        posterior = c.alpha * c.sigma * (1 - SD**2) / scale(path, t) ** 2
        return (posterior + change * t)[:, None] * x

    return PathModel(Told(path, exact), path, "v", SD, "time")
