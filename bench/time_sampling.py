"""At which times a regression is trained: from uniform numbers in (0, 1) to times on a path."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.paths import Path

TimeSampling = Callable[[Tensor, Path], Tensor]

EDM_LOG_MEAN, EDM_LOG_STD = -1.2, 1.2


def uniform(u: Tensor, path: Path) -> Tensor:
    """Uniform over the path's interval."""
    start, end = path.interval
    return start + (end - start) * u


def lognormal(u: Tensor, path: Path) -> Tensor:
    """Noise level lognormal with log-mean -1.2 and log-std 1.2 (EDM, 2206.00364, table 1)."""
    log_level = EDM_LOG_MEAN + EDM_LOG_STD * torch.special.ndtri(u.clamp(1e-6, 1 - 1e-6))
    start, end = path.interval
    return path.t_of_log_snr(-2 * log_level).clamp(start, end)


TIME_SAMPLINGS: dict[str, TimeSampling] = {"uniform": uniform, "lognormal": lognormal}
