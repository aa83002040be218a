"""Discretisations of a path's interval."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

LOG_SNR_LIMIT = 10.0
"""Grids uniform in log_snr span at most +-10 (noise level 0.0067 to 148)."""


def uniform_t(interval: tuple[float, float], count: int) -> Tensor:
    """``count`` equal intervals in t: ``[count + 1]``, float32, ends exact."""
    grid = torch.linspace(*interval, count + 1, dtype=torch.float64).float()
    grid[0], grid[-1] = interval
    return grid


def karras_levels(lowest: float, highest: float, count: int, rho: float = 7.0) -> Tensor:
    """``count`` intervals between falling noise levels: ``[count + 1]``, float64.

    Equal steps of ``level**(1/rho)`` (EDM, 2206.00364, equation 5).
    """
    ends = torch.tensor([highest, lowest], dtype=torch.float64) ** (1 / rho)
    levels = torch.linspace(float(ends[0]), float(ends[1]), count + 1, dtype=torch.float64) ** rho
    levels[0], levels[-1] = highest, lowest
    return levels


def uniform_log_snr(
    interval: tuple[float, float],
    log_snr: Callable[[Tensor], Tensor],
    t_of_log_snr: Callable[[Tensor], Tensor],
    count: int,
) -> Tensor:
    """``count`` intervals of equal length in log_snr: times ``[count + 1]``, float64.

    The range is the interval's, cut to +-:data:`LOG_SNR_LIMIT`. The first and the last time are
    the ends of the interval itself, so that every solver maps the same start to the same end; on
    a path that ends in pure noise or pure data these two intervals are the longer for it.
    """
    ends = torch.tensor(interval, dtype=torch.float64)
    low, high = log_snr(ends).clamp(-LOG_SNR_LIMIT, LOG_SNR_LIMIT).tolist()
    grid = t_of_log_snr(torch.linspace(low, high, count + 1, dtype=torch.float64))
    grid[0], grid[-1] = interval
    return grid
