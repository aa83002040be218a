"""Consistency: neighbouring points of a trajectory map to the same data.

The two published ways differ in where the neighbour comes from, and here in nothing else:

* distillation (Song et al., 2303.01469, algorithm 2): one Heun step of a teacher's probability
  flow, ``dx/ds = (x - D(x, s))/s``;
* training (2303.01469, algorithm 3): the same data and noise at the next lower noise level.

Both use the improved recipe of Song & Dhariwal (2310.14189): pseudo-Huber distance, a number of
levels that doubles over the stage, and no moving average in the target. For distillation the recipe
replaces LPIPS, which needs a network trained on other images, and a fixed number of levels. The
time sampling draws a noise level, which falls between two neighbours: ``lognormal`` gives iCT's
discrete law of i, ``karras`` equally likely intervals.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from bench.couplings import Pair
from bench.models import PathModel
from bench.paths.edm import Edm
from bench.solvers.grids import karras_levels
from bench.streams import Draws
from bench.tensors import expand
from bench.time_sampling import TimeSampling
from bench.weightings import Weighting


class Consistency:
    """``w_i * d(f(x_{i+1}, s_{i+1}), stopgrad f(x_i, s_i))``.

    Args:
        time_sampling: law of the noise level whose interval i is drawn.
        weighting: ``w_i``.
        neighbour: ``teacher`` or ``pair``, where ``x_i`` comes from.
        first_levels, last_levels: intervals between noise levels at the start and at the end.
    """

    def __init__(
        self,
        time_sampling: TimeSampling,
        weighting: Weighting,
        neighbour: Literal["teacher", "pair"],
        first_levels: int,
        last_levels: int,
    ) -> None:
        if neighbour not in ("teacher", "pair"):
            raise ValueError(f"neighbour must be 'teacher' or 'pair', got {neighbour!r}")
        if not 2 <= first_levels <= last_levels:
            raise ValueError(
                f"need 2 <= first_levels <= last_levels, got {first_levels}, {last_levels}"
            )
        self.neighbour = neighbour
        self.time_sampling = time_sampling
        self.weighting = weighting
        self.first_levels = first_levels
        self.last_levels = last_levels
        self.teacher: PathModel | None = None

    def intervals(self, progress: float) -> int:
        """Number of intervals at ``progress`` in [0, 1] (2310.14189, section 3.4)."""
        doublings = math.floor(math.log2(self.last_levels / self.first_levels)) + 1
        return min(self.first_levels * 2 ** math.floor(progress * doublings), self.last_levels)

    def __call__(self, model: PathModel, pair: Pair, draws: Draws, progress: float) -> Tensor:
        """Loss per sample, ``[b]``."""
        path = _edm(model)
        levels = rising_levels(path, self.intervals(progress)).to(pair.data.device)
        drawn = path.coefficients(self.time_sampling(draws("time").double(), path)).sigma
        lower = (torch.searchsorted(levels, drawn.float()) - 1).clamp(0, len(levels) - 2)
        near, far = levels[lower], levels[lower + 1]
        x_far = pair.data + expand(far, pair.data) * pair.noise
        with torch.no_grad():
            if self.neighbour == "teacher":
                x_near = self._heun(x_far, far, near, model.label)
            else:
                x_near = pair.data + expand(near, pair.data) * pair.noise
            wanted = model.predict(x_near, path.at_level(near), "data")
        c = path.at_level(far)
        student = model.predict(x_far, c, "data")
        return self.weighting(c, model.gain(c), far - near) * pseudo_huber(student, wanted)

    def _heun(self, x: Tensor, far: Tensor, near: Tensor, label: Tensor | None) -> Tensor:
        if self.teacher is None:
            raise ValueError("neighbour='teacher' needs a stage that reads a trained teacher")
        teacher, path = self.teacher.given(label), _edm(self.teacher)
        step = expand(near - far, x)
        slope = teacher.predict(x, path.at_level(far), "noise")
        ahead = teacher.predict(x + step * slope, path.at_level(near), "noise")
        return x + step * (slope + ahead) / 2


def rising_levels(path: Edm, intervals: int) -> Tensor:
    """``intervals + 1`` noise levels of EDM's grid, from sigma_min up, float32."""
    return karras_levels(path.sigma_min, path.sigma_max, intervals).flip(0).float()


def pseudo_huber(a: Tensor, b: Tensor) -> Tensor:
    """``sqrt(|a - b|^2 + c^2) - c`` with ``c = 0.00054*sqrt(d)`` (2310.14189, section 3.3)."""
    squared = (a - b).flatten(1).square()
    c = 0.00054 * squared.shape[1] ** 0.5
    return (squared.sum(1) + c**2).sqrt() - c


def _edm(model: PathModel) -> Edm:
    if not isinstance(model.path, Edm):
        raise TypeError(f"consistency needs the path 'edm', got {type(model.path).__name__}")
    return model.path


build = Consistency
