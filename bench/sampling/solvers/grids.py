"""Discretisations of a path's interval, as times in float64 whose ends are those of the interval.

:data:`GRIDS` names those that a solver may be run on. A grid asks its path for the interval and for
log_snr and its inverse, and for nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from bench.registry import aside
from bench.sampling.solvers.karras import karras_levels

LOG_SNR_LIMIT = 10.0
"""Grids in log_snr span at most +-10 (noise level 0.0067 to 148)."""

SHIFT = 3.0
"""SD3's shift of the times at a megapixel (Esser et al., 2024, 2403.03206, section 5.3.2)."""

EDM_LEVELS = (0.002, 80.0)
"""Noise levels between which EDM's models (Karras et al., 2022, 2206.00364) are sampled.

Those of consistency models are the same.
"""


class Clock(Protocol):
    """What a grid sees of a path."""

    interval: tuple[float, float]

    def log_snr(self, t: Tensor) -> Tensor:
        """``2*log(alpha/sigma)`` at times ``[n]``."""
        ...

    def t_of_log_snr(self, log_snr: Tensor) -> Tensor:
        """Inverse of :meth:`log_snr`."""
        ...


def uniform_t(clock: Clock, count: int) -> Tensor:
    """``count`` equal intervals in t: ``[count + 1]``."""
    return _with_ends(torch.linspace(*clock.interval, count + 1, dtype=torch.float64), clock)


def shifted_t(clock: Clock, count: int) -> Tensor:
    """Equal intervals, then ``t -> t/(t + 3*(1 - t))``: finer at the noise, as in SD3."""
    t = torch.linspace(*clock.interval, count + 1, dtype=torch.float64)
    return _with_ends(t / (t + SHIFT * (1 - t)), clock)


def uniform_log_snr(clock: Clock, count: int) -> Tensor:
    """``count`` intervals of equal length in log_snr: ``[count + 1]``.

    The range is the interval's, cut to +-:data:`LOG_SNR_LIMIT`. The first and the last time are
    the ends of the interval itself, so that every solver maps the same start to the same end; on
    a path that ends in pure noise or pure data these two intervals are the longer for it.
    """
    low, high = _log_snr_range(clock)
    return _with_ends(
        clock.t_of_log_snr(torch.linspace(low, high, count + 1, dtype=torch.float64)), clock
    )


def quadratic_t(clock: Clock, count: int) -> Tensor:
    """Finer towards the data: ``1 - t = (1 - i/n)^2``, over the interval.

    The quadratic sub-sequence of DDIM (Song et al., 2020, 2010.02502, appendix D.2), whose time
    ends at the data.
    """
    low, high = clock.interval
    s = torch.linspace(0, 1, count + 1, dtype=torch.float64)
    return _with_ends(high - (high - low) * (1 - s) ** 2, clock)


def karras(clock: Clock, count: int) -> Tensor:
    """Noise levels of EDM, cut and ended as :func:`uniform_log_snr`.

    They are those of Karras et al., 2022, 2206.00364, equation 5.
    """
    low, high = _log_snr_range(clock)
    ends = torch.tensor([low, high], dtype=torch.float64)
    highest, lowest = (ends / -2).exp().tolist()
    return _with_ends(clock.t_of_log_snr(-2 * karras_levels(lowest, highest, count).log()), clock)


def edm_levels(clock: Clock, count: int) -> Tensor:
    """:func:`karras` between :data:`EDM_LEVELS`, as far as the path has them."""
    ends = clock.log_snr(torch.tensor(clock.interval, dtype=torch.float64))
    highest, lowest = (ends / -2).exp().clamp(*EDM_LEVELS).tolist()
    return _with_ends(clock.t_of_log_snr(-2 * karras_levels(lowest, highest, count).log()), clock)


Grid = Callable[[Clock, int], Tensor]

GRIDS: dict[str, Grid] = aside("a cell's digest holds the code of its grid")(
    {
        "uniform_t": uniform_t,
        "quadratic_t": quadratic_t,
        "shifted_t": shifted_t,
        "uniform_log_snr": uniform_log_snr,
        "karras": karras,
        "edm_levels": edm_levels,
    }
)


def _log_snr_range(clock: Clock) -> tuple[float, float]:
    ends = torch.tensor(clock.interval, dtype=torch.float64)
    low, high = clock.log_snr(ends).clamp(-LOG_SNR_LIMIT, LOG_SNR_LIMIT).tolist()
    return low, high


def _with_ends(grid: Tensor, clock: Clock) -> Tensor:
    grid[0], grid[-1] = clock.interval
    return grid
