"""Uniform in time, optionally shifted towards the noise.

Uniform as in Lipman et al., 2022, 2210.02747; the shift is that of Esser et al., 2024, 2403.03206.
"""

from __future__ import annotations

from torch import Tensor

from bench.models.paths import Path
from bench.options import requires
from bench.training.time_sampling._base import ends, shifted, unshifted


class Uniform:
    """Uniform over the path's interval.

    Args:
        shift: SD3's shift of the times; 1 for none.
    """

    @requires("shift > 0")
    def __init__(self, shift: float = 1.0) -> None:
        self.shift = shift

    def __call__(self, u: Tensor, path: Path) -> Tensor:
        """Times ``[b]`` from numbers ``u [b]`` in (0, 1)."""
        start, end = unshifted(ends(path), self.shift).tolist()
        return path.inside(shifted(start + (end - start) * u, self.shift))


build = Uniform
