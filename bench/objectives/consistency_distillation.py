"""Consistency distillation (Song et al., 2303.01469, algorithm 2)."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.couplings import Pair
from bench.models import PathModel
from bench.objectives._consistency import edm_path, pseudo_huber, rising_levels
from bench.tensors import expand


class ConsistencyDistillation:
    """Both ends of one teacher step must map to the same data.

    From ``x = data + s_{i+1} z`` the teacher takes one Heun step of its probability flow,
    ``dx/ds = (x - D(x, s))/s``, to ``s_i``; the loss is the pseudo-Huber distance between the
    student at the start and its stopped gradient at the end. Deviates from the paper in the
    distance (pseudo-Huber for LPIPS, which needs a network trained on other images) and in the
    target (the student itself for its moving average, as 2310.14189 recommends).

    Args:
        levels: intervals between noise levels on EDM's grid; i is uniform (18 in the paper).
    """

    def __init__(self, levels: int = 18) -> None:
        if levels < 2:
            raise ValueError(f"levels must be at least 2, got {levels}")
        self.levels = levels
        self.teacher: PathModel | None = None

    def __call__(self, model: PathModel, pair: Pair, uniform: Tensor, progress: float) -> Tensor:
        if self.teacher is None:
            raise ValueError("consistency distillation needs a stage that reads a teacher")
        path = edm_path(model)
        levels = rising_levels(path, self.levels).to(uniform.device)
        lower = (uniform * self.levels).long().clamp(max=self.levels - 1)
        near, far = levels[lower], levels[lower + 1]
        x_far = pair.data + expand(far, pair.data) * pair.noise
        with torch.no_grad():
            step = expand(near - far, x_far)
            slope = _slope(self.teacher, x_far, far)
            x_near = x_far + step * slope
            x_near = x_far + step * (slope + _slope(self.teacher, x_near, near)) / 2
            wanted = model.predict(x_near, path.at_level(near), "data")
        return pseudo_huber(model.predict(x_far, path.at_level(far), "data"), wanted)


def _slope(teacher: PathModel, x: Tensor, level: Tensor) -> Tensor:
    return teacher.predict(x, edm_path(teacher).at_level(level), "noise")


build = ConsistencyDistillation
