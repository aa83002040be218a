"""Consistency: neighbouring points of a trajectory map to the same data.

The two published ways differ in where the neighbour comes from, and here in nothing else:

* distillation (Song et al., 2023, 2303.01469, algorithm 2): one Heun step of a teacher's
  probability flow, ``dx/ds = (x - D(x, s))/s``;
* training (the same paper, algorithm 3): the same data and noise at the next lower noise level.

Both use the improved recipe of Song & Dhariwal (2023, 2310.14189): pseudo-Huber distance,
neighbours that draw nearer over the stage, and no moving average in the target. For distillation
the recipe replaces LPIPS, which needs a network trained on other images, and a fixed number of
levels.

The time sampling draws a noise level s. Its neighbours follow one of two schedules:

* ``doubling`` (Song & Dhariwal, section 3.4): s falls between two levels of EDM's grid, whose
  number doubles over the stage; ``lognormal`` gives iCT's discrete law of i, ``karras`` equally
  likely intervals;
* ``continuous`` (Geng et al., 2024, 2406.14548, section 3.2): s itself, and a level below it whose
  relative distance halves over the stage; at first it is the data for all but high noise.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from bench.models.path_model import PathModel
from bench.models.paths.edm import Edm
from bench.options import requires
from bench.sampling.solvers.karras import karras_levels
from bench.streams import Draws
from bench.tensors import expand, onto
from bench.training.couplings import Pair
from bench.training.objectives._base import Objective
from bench.training.time_sampling import TimeSampling
from bench.training.weightings import Weighting


class Consistency(Objective):
    """``w * d(f(x_far, s_far), stopgrad f(x_near, s_near))``.

    Args:
        time_sampling: law of the noise level.
        weighting: ``w``.
        neighbour: ``teacher`` or ``pair``, where ``x_near`` comes from.
        schedule: ``doubling`` or ``continuous``, how near the neighbours are.
        first_levels, last_levels: intervals between noise levels at the start and at the end of
            the doubling schedule.
        halvings: how often the distance is halved by the continuous schedule.
    """

    @requires("2 <= first_levels <= last_levels", "halvings >= 1")
    def __init__(
        self,
        time_sampling: TimeSampling,
        weighting: Weighting,
        neighbour: Literal["teacher", "pair"],
        schedule: Literal["doubling", "continuous"] = "doubling",
        first_levels: int = 10,
        last_levels: int = 160,
        halvings: int = 8,
    ) -> None:
        self.neighbour = neighbour
        self.schedule = schedule
        self.time_sampling = time_sampling
        self.weighting = weighting
        self.first_levels = first_levels
        self.last_levels = last_levels
        self.halvings = halvings
        self.teacher: PathModel | None = None

    def intervals(self, progress: float) -> int:
        """Number of intervals at ``progress`` in [0, 1] (Song & Dhariwal, 2023, 2310.14189)."""
        doublings = math.floor(math.log2(self.last_levels / self.first_levels)) + 1
        return min(self.first_levels * 2 ** math.floor(progress * doublings), self.last_levels)

    def neighbours(self, level: Tensor, path: Edm, progress: float) -> tuple[Tensor, Tensor]:
        """The levels ``near < far``, each ``[b]``, to which a drawn ``level [b]`` leads."""
        if self.schedule == "continuous":
            ratio = near_ratio(level, 1 + math.floor(progress * self.halvings))
            return (ratio * level).clamp(min=path.sigma_min), level
        levels = onto(rising_levels(path, self.intervals(progress)), level.device)
        lower = (torch.searchsorted(levels, level.float()) - 1).clamp(0, len(levels) - 2)
        return levels[lower], levels[lower + 1]

    def __call__(self, model: PathModel, pair: Pair, draws: Draws, progress: float) -> Tensor:
        """Loss per sample, ``[b]``."""
        path = _edm(model)
        drawn = path.coefficients(self.time_sampling(draws("time").double(), path)).sigma
        near, far = self.neighbours(drawn.float(), path, progress)
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


def near_ratio(level: Tensor, halvings: int) -> Tensor:
    """``1 - n(s)/2^halvings`` with ``n(s) = 1 + 8*sigmoid(-s)``.

    Equation 13 of Geng et al., 2024, 2406.14548. The nearer level over the farther one, ``[b]``;
    negative where n exceeds the power, which means the data. The constants are the paper's q, k and
    b.
    """
    return 1 - (1 + 8 * torch.sigmoid(-level)) / 2**halvings


def pseudo_huber(a: Tensor, b: Tensor) -> Tensor:
    """``sqrt(|a - b|^2 + c^2) - c`` with ``c = 0.00054*sqrt(d)``.

    The distance of Song & Dhariwal, 2023, 2310.14189, section 3.3.
    """
    squared = (a - b).flatten(1).square()
    c = 0.00054 * squared.shape[1] ** 0.5
    return (squared.sum(1) + c**2).sqrt() - c


def _edm(model: PathModel) -> Edm:
    if not isinstance(model.path, Edm):
        raise TypeError(f"consistency needs the path 'edm', got {type(model.path).__name__}")
    return model.path


build = Consistency
