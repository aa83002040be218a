"""Shape vocabulary.

``[b]`` is one number a sample, ``[b, ...]`` one array a sample, ``[n, ...]`` a whole set.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


def expand(values: Tensor, like: Tensor) -> Tensor:
    """Reshape ``values [b]`` to ``[b, 1, ...]`` so that it multiplies ``like [b, ...]``."""
    return values.reshape(-1, *(1,) * (like.dim() - 1))


def per_sample_mean(values: Tensor) -> Tensor:
    """Mean over everything but the batch: ``[b, ...] -> [b]``."""
    return values.flatten(1).mean(1)


def per_sample_norm(values: Tensor) -> Tensor:
    """Euclidean norm over everything but the batch: ``[b, ...] -> [b]``."""
    return values.flatten(1).norm(dim=1)


class PathCoefficients(NamedTuple):
    """Coefficients of a path at times ``t [b]``, each ``[b]``, and the times if they are known."""

    alpha: Tensor
    sigma: Tensor
    d_alpha: Tensor
    d_sigma: Tensor
    t: Tensor | None = None

    def to(self, dtype: torch.dtype) -> PathCoefficients:
        """The same numbers in ``dtype``."""
        t = None if self.t is None else self.t.to(dtype)
        return PathCoefficients(
            self.alpha.to(dtype),
            self.sigma.to(dtype),
            self.d_alpha.to(dtype),
            self.d_sigma.to(dtype),
            t,
        )

    @property
    def log_snr(self) -> Tensor:
        """``2*log(alpha/sigma)``, infinite where alpha or sigma vanishes."""
        return 2 * (self.alpha.log() - self.sigma.log())

    @property
    def noise_level(self) -> Tensor:
        """``sigma/alpha``."""
        return self.sigma / self.alpha


def onto(values: Tensor, device: torch.device) -> Tensor:
    """``values`` of the host on ``device``, without waiting for what the device is doing.

    A copy from ordinary memory would wait: CUDA reads it before it returns.
    """
    ready = values.pin_memory() if device.type == "cuda" else values
    return ready.to(device, non_blocking=True)
