"""Multistep consistency sampling (Song et al., 2303.01469, algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

Denoiser = Callable[[Tensor, int], Tensor]
"""The consistency function at ``x [b, ...]`` and the grid's point of the given index."""


def solve(
    function: Denoiser,
    start: Tensor,
    alpha: Sequence[float],
    sigma: Sequence[float],
    noise: Callable[[int], Tensor],
) -> Tensor:
    """Map noise to data, then back to each later point of the grid and to data again.

    The function's value is a state at the grid's end, which has some noise on most paths. Noise
    is added up to that of the point i: ``k*x + sqrt(sigma_i^2 - (k*sigma_n)^2)*z`` with
    ``k = alpha_i/alpha_n``.

    Args:
        function: the consistency function, evaluated at points 0 .. n-1; the identity at point n.
        start: state at the first point, ``[b, ...]``.
        alpha, sigma: of the path at the ``n + 1`` points.
        noise: fresh standard normal numbers ``[b, ...]`` for the interval of the given index.
    """
    x = function(start, 0)
    for i in range(1, len(alpha) - 1):
        keep = alpha[i] / alpha[-1]
        added = (sigma[i] ** 2 - (keep * sigma[-1]) ** 2) ** 0.5
        x = function(keep * x + added * noise(i), i)
    return x
