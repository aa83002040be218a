"""Multistep consistency sampling (Song et al., 2303.01469, algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Denoiser = Callable[[Tensor, float], Tensor]
"""The consistency function at ``x [b, ...]`` and a noise level."""


def solve(
    function: Denoiser,
    start: Tensor,
    levels: list[float],
    smallest: float,
    noise: Callable[[int], Tensor],
) -> Tensor:
    """Map noise to data, then noise again to each further level and map again.

    Args:
        function: the consistency function.
        start: sample at the first (largest) level, ``[b, ...]``.
        levels: falling noise levels; one evaluation each.
        smallest: level at which the function is the identity; re-noising adds
            ``sqrt(level^2 - smallest^2)``.
        noise: fresh standard normal numbers ``[b, ...]`` for the interval of the given index.
    """
    x = function(start, levels[0])
    for i, level in enumerate(levels[1:], start=1):
        x = function(x + (level**2 - smallest**2) ** 0.5 * noise(i), level)
    return x
