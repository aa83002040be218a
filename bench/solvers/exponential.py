"""Exponential integrators of the probability flow, on any Gaussian path.

They integrate the linear part of the flow exactly and see a path only through ``alpha`` and
``sigma`` at the grid's points. With ``lambda = log(alpha/sigma)``, ``h`` its increment and ``D``
an estimate of the data, one interval is::

    x' = (sigma'/sigma)*x + (alpha' - alpha*sigma'/sigma)*D

``ddim`` takes ``D`` at the interval's start (2010.02502; first order). ``dpmpp_2m`` extrapolates
from the previous interval, ``D + (D - D_previous)*h/(2*h_previous)`` (2211.01095, algorithm 2),
and falls back to first order in the first interval and wherever a neighbouring one is infinitely
long in lambda, as on a path that ends in pure noise or in pure data.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Denoiser = Callable[[Tensor, int], Tensor]
"""Estimate of the data at ``x [b, ...]`` and the grid's point of the given index."""


def solve(denoiser: Denoiser, start: Tensor, alpha: Tensor, sigma: Tensor, order: int) -> Tensor:
    """End point ``[b, ...]`` after ``n`` intervals with ``n`` evaluations.

    Args:
        denoiser: evaluated at points 0 .. n-1.
        start: state at point 0, ``[b, ...]``.
        alpha, sigma: coefficients at the points, ``[n + 1]`` each.
        order: 1 for DDIM, 2 for DPM-Solver++ 2M.
    """
    if order not in (1, 2):
        raise ValueError(f"order must be 1 or 2, got {order}")
    alpha, sigma = alpha.double(), sigma.double()
    lengths = (alpha.log() - sigma.log()).diff().tolist()
    keep = (sigma[1:] / sigma[:-1]).tolist()
    gain = (alpha[1:] - alpha[:-1] * sigma[1:] / sigma[:-1]).tolist()
    x, previous = start, None
    for i, length in enumerate(lengths):
        estimate = denoiser(x, i)
        direction = estimate
        if order == 2 and previous is not None and _finite(length, lengths[i - 1]):
            direction = estimate + (estimate - previous) * (length / (2 * lengths[i - 1]))
        x = keep[i] * x + gain[i] * direction
        previous = estimate
    return x


def _finite(*lengths: float) -> bool:
    return bool(torch.isfinite(torch.tensor(lengths)).all())
