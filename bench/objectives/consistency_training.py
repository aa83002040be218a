"""Consistency training in its improved form (Song & Dhariwal, 2310.14189)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bench.couplings import Pair
from bench.models import PathModel
from bench.objectives._consistency import edm_path, pseudo_huber, rising_levels
from bench.tensors import expand


class ConsistencyTraining:
    """Adjacent noise levels of one pair must map to the same data.

    ``lambda_i * d(f(data + s_{i+1} z, s_{i+1}), stopgrad f(data + s_i z, s_i))`` with pseudo-Huber
    distance, ``lambda_i = 1/(s_{i+1} - s_i)``, lognormal levels, a count of levels that doubles
    from ``first_levels`` to ``last_levels`` over the stage, and no EMA for the target.

    Args:
        first_levels, last_levels: intervals between noise levels at the start and at the end.
        log_mean, log_std: lognormal law of the noise level (-1.1 and 2.0 in the paper).
    """

    def __init__(
        self,
        first_levels: int = 10,
        last_levels: int = 1280,
        log_mean: float = -1.1,
        log_std: float = 2.0,
    ) -> None:
        if not 2 <= first_levels <= last_levels:
            raise ValueError(
                f"need 2 <= first_levels <= last_levels, got {first_levels}, {last_levels}"
            )
        self.first_levels = first_levels
        self.last_levels = last_levels
        self.log_mean = log_mean
        self.log_std = log_std
        self.teacher: PathModel | None = None

    def intervals(self, progress: float) -> int:
        """Number of intervals at ``progress`` (2310.14189, equation 8)."""
        doublings = math.floor(math.log2(self.last_levels / self.first_levels)) + 1
        return min(self.first_levels * 2 ** math.floor(progress * doublings), self.last_levels)

    def __call__(self, model: PathModel, pair: Pair, uniform: Tensor, progress: float) -> Tensor:
        path = edm_path(model)
        levels = rising_levels(path, self.intervals(progress)).to(uniform.device)
        edges = torch.erf((levels.log() - self.log_mean) / (math.sqrt(2) * self.log_std))
        cumulative = (edges - edges[0]) / (edges[-1] - edges[0])
        lower = (torch.searchsorted(cumulative, uniform, right=True) - 1).clamp(0, len(levels) - 2)
        near, far = levels[lower], levels[lower + 1]
        student = model.predict(
            pair.data + expand(far, pair.data) * pair.noise, path.at_level(far), "data"
        )
        with torch.no_grad():
            wanted = model.predict(
                pair.data + expand(near, pair.data) * pair.noise, path.at_level(near), "data"
            )
        return pseudo_huber(student, wanted) / (far - near)


build = ConsistencyTraining
