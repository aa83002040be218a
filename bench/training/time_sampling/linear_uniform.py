"""The log_snr of flow matching on any path: uniform times on the linear one.

See Esser et al., 2024, 2403.03206. Where ``t`` is uniform on the linear path,
``log_snr = 2*logit(t)`` is logistic with scale 2, of density ``sech(log_snr/4)^2/8``. Here a time
of another path is drawn so that its log_snr has that law, truncated to what the path covers.
"""

from __future__ import annotations

from torch import Tensor

from bench.models.paths import Path
from bench.training.time_sampling._base import ends


class LinearUniform:
    """Uniform in ``alpha/(alpha + sigma)``, which is the time of the linear path."""

    def __call__(self, u: Tensor, path: Path) -> Tensor:
        """Times ``[b]`` from numbers ``u [b]`` in (0, 1)."""
        first, last = (path.log_snr(ends(path)) / 2).sigmoid().tolist()
        linear = first + (last - first) * u.double()
        return path.inside(path.t_of_log_snr(2 * linear.logit()).to(u.dtype))


build = LinearUniform
