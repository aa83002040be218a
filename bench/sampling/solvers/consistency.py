"""Multistep consistency sampling, on any Gaussian path.

It is algorithm 1 of Song et al., 2023, 2303.01469. The consistency function maps a state to the end
of the grid, which has some noise on most paths. To go on, noise is added up to that of a later
point i of the grid, with ``k = alpha_i/alpha_n``:
``x = k*end + sqrt(sigma_i^2 - (k*sigma_n)^2)*z``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from bench.sampling.solvers.schedule import Denoiser, Noise, Schedule


def solve(function: Denoiser, start: Tensor, schedule: Schedule, noise: Noise) -> Tensor:
    """Map noise to data, then back to each later point of the grid and to data again.

    Args:
        function: the consistency function, evaluated at every point but the last, where it would
            be the identity.
        start: state at the first point, ``[b, ...]``.
        schedule: the ``n + 1`` points.
        noise: asked for the intervals 1 .. n-1.
    """
    first, *later, end = schedule.points
    x = function(start, first)
    for i, point in enumerate(later, start=1):
        keep = point.alpha / end.alpha
        added = math.sqrt(point.sigma**2 - (keep * end.sigma) ** 2)
        x = function(keep * x + added * noise(i), point)
    return x


METHODS: dict[str, Callable[[Denoiser, Tensor, Schedule, Noise], Tensor]] = {"consistency": solve}
