"""Noise levels spread as on EDM's sampling grid (Karras et al., 2022, 2206.00364, equation 5).

``level^(1/rho)`` is uniform between the ends of the path: equally likely levels of a Karras grid,
as in consistency distillation and training (Song et al., 2023, 2303.01469).
"""

from __future__ import annotations

from torch import Tensor

from bench.models.paths import Path
from bench.options import requires
from bench.training.time_sampling._base import ends


class Karras:
    """Uniform in ``(sigma/alpha)^(1/rho)``.

    Args:
        rho: 7 in EDM.
    """

    @requires("rho > 0")
    def __init__(self, rho: float = 7.0) -> None:
        self.rho = rho

    def __call__(self, u: Tensor, path: Path) -> Tensor:
        """Times ``[b]`` from numbers ``u [b]`` in (0, 1).

        Raises:
            ValueError: a path that starts in pure noise, whose level is infinite.
        """
        first, last = (path.log_snr(ends(path)) / (-2 * self.rho)).exp().tolist()
        if not first < float("inf"):
            raise ValueError("the law 'karras' needs a path with a largest noise level")
        root = first + (last - first) * u.double()
        return path.inside(path.t_of_log_snr(-2 * self.rho * root.log()).to(u.dtype))


build = Karras
