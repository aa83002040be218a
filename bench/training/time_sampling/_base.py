"""The law's interface, and what several laws share; see the package's docstring."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from bench.models.paths import Path


class TimeSampling(Protocol):
    """A law of training times."""

    def __call__(self, u: Tensor, path: Path) -> Tensor:
        """Times ``[b]`` inside ``path.interval`` from numbers ``u [b]`` in (0, 1)."""
        ...


def shifted(t: Tensor, shift: float) -> Tensor:
    """SD3's resolution shift of the times: noise over data grows by ``shift``.

    It is that of Esser et al., 2024, 2403.03206, section 5.3.2. With noise on the left,
    ``t -> t/(t + shift*(1 - t))``; on the linear path sigma/alpha at the new time is ``shift``
    times that at the old one.
    """
    return t / (t + shift * (1 - t))


def unshifted(t: Tensor, shift: float) -> Tensor:
    """Inverse of :func:`shifted`."""
    return shifted(t, 1 / shift)


def truncated_normal(u: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Quantiles ``u [b]`` of a standard normal law truncated to ``low .. high`` (scalars)."""
    lowest, highest = torch.special.ndtr(low), torch.special.ndtr(high)
    return torch.special.ndtri(lowest + u.double() * (highest - lowest)).clamp(
        low.item(), high.item()
    )


def ends(path: Path) -> Tensor:
    """The interval of ``path`` as float64 ``[2]``, on the host: reading it waits for no device."""
    return torch.tensor(path.interval, dtype=torch.float64)
