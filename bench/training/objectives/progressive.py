"""Progressive distillation (Salimans & Ho, 2022, 2202.00512, algorithm 2).

A student of N steps learns to do in one DDIM step what its teacher does in two. At a time t of the
student's grid the teacher leads ``z_t`` over half a step and again to ``z_end`` at ``t + 1/N``; the
student is asked for the data that one DDIM step needs to arrive there::

    data = (z_end - (sigma_end/sigma_t)*z_t) / (alpha_end - (sigma_end/sigma_t)*alpha_t)
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.models.path_model import PathModel
from bench.options import requires
from bench.streams import Draws
from bench.tensors import expand, per_sample_mean
from bench.training.couplings import Pair
from bench.training.objectives._base import Objective
from bench.training.time_sampling import TimeSampling
from bench.training.weightings import Weighting


class Progressive(Objective):
    """``w*|error of the data|^2``, written on the output for the weighting's sake.

    Args:
        time_sampling: law of t, rounded down to the student's grid.
        weighting: ``w``.
        steps: N, equal intervals of the path that the student crosses in one step each.
    """

    @requires("steps >= 1")
    def __init__(self, time_sampling: TimeSampling, weighting: Weighting, steps: int) -> None:
        self.time_sampling = time_sampling
        self.weighting = weighting
        self.steps = steps
        self.teacher: PathModel | None = None

    def __call__(self, model: PathModel, pair: Pair, draws: Draws, progress: float) -> Tensor:
        """Loss per sample, ``[b]``."""
        start, end = model.path.interval
        length = (end - start) / self.steps
        drawn = self.time_sampling(draws("time"), model.path)
        t = start + length * ((drawn - start) / length).floor().clamp(max=self.steps - 1)
        c = model.path.coefficients(t)
        x = expand(c.alpha, pair.data) * pair.data + expand(c.sigma, pair.data) * pair.noise
        wanted = self.wanted(x, t, torch.full_like(t, length), model.label)
        gain = model.gain(c)
        error = (model.predict(x, c, "data") - wanted) / expand(gain, x)
        return self.weighting(c, gain) * per_sample_mean(error.square())

    @torch.no_grad()
    def wanted(self, x: Tensor, t: Tensor, length: Tensor, label: Tensor | None) -> Tensor:
        """Data ``[b, ...]`` with which one step of ``length [b]`` does what the teacher does."""
        if self.teacher is None:
            raise ValueError("progressive distillation needs a stage that reads a trained teacher")
        teacher, path, half = self.teacher.given(label), self.teacher.path, length / 2
        reached = teacher.leap(teacher.leap(x, t, half), t + half, half)
        now, then = path.coefficients(t), path.coefficients(path.inside(t + length))
        keep = then.sigma / now.sigma
        return (reached - expand(keep, x) * x) / expand(then.alpha - keep * now.alpha, x)


build = Progressive
