"""Continuous-time consistency in TrigFlow (sCM; Lu & Song, 2024, 2410.11081, algorithm 1).

On the trigonometric path with v-prediction the consistency function is
``f(x, t) = alpha*x - sigma*F(x, t)``, the identity at the data. With the paper's angle
``tau = (1 - t)*pi/2``, alpha = cos(tau) and sigma = sin(tau), along a trajectory
``dx/dtau = alpha*noise - sigma*data``::

    df/dtau = -alpha*(F - dx/dtau) - sigma*(x + dF/dtau)
    loss = |F - stopgrad(F + g/(|g| + 0.1))|^2,   g = alpha*df/dtau

In training dx/dtau is that of the pair, in distillation that of a teacher. The second term of the
derivative is weighted by r, which grows from 0 to 1 in the ``warmup`` of the stage. The noise has
unit variance here, not that of the data: the angle is another function of the noise level, and the
equations are the same. The paper learns a weighting of times by a network of its own; here the
weighting is fixed, since the normalised tangents are of one size at all times.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bench.models.path_model import PathModel
from bench.options import requires
from bench.streams import Draws
from bench.tensors import expand, per_sample_mean, per_sample_norm
from bench.training.couplings import Pair
from bench.training.objectives._base import Objective
from bench.training.objectives._derivative import along
from bench.training.time_sampling import TimeSampling
from bench.training.weightings import Weighting

NORMALISER = 0.1
"""Added to the tangent's norm (the paper's c)."""

D_TAU = -math.pi / 2
"""Derivative of the paper's angle by t."""


class ContinuousConsistency(Objective):
    """``w*mean |F - stopgrad(F + g/(|g| + 0.1))|^2``; from a teacher where the stage reads one.

    Args:
        time_sampling: law of t.
        weighting: ``w``.
        warmup: fraction of the stage over which r grows to 1.
    """

    @requires("0 < warmup <= 1")
    def __init__(
        self, time_sampling: TimeSampling, weighting: Weighting, warmup: float = 0.1
    ) -> None:
        self.time_sampling = time_sampling
        self.weighting = weighting
        self.warmup = warmup
        self.teacher: PathModel | None = None

    def __call__(self, model: PathModel, pair: Pair, draws: Draws, progress: float) -> Tensor:
        """Loss per sample, ``[b]``."""
        t = self.time_sampling(draws("time"), model.path)
        c = model.path.coefficients(t)
        x = expand(c.alpha, pair.data) * pair.data + expand(c.sigma, pair.data) * pair.noise
        v = expand(c.alpha, x) * pair.noise - expand(c.sigma, x) * pair.data
        if self.teacher is not None:
            with torch.no_grad():
                v = self.teacher.given(model.label).predict(x, c, "v")
        output, tangent = self.tangent(model, x, t, v, min(1.0, progress / self.warmup))
        size = expand(per_sample_norm(tangent), x)
        wanted = output.detach() + tangent / (size + NORMALISER)
        error = per_sample_mean((output - wanted).square())
        return self.weighting(c, model.gain(c)) * error

    def tangent(
        self, model: PathModel, x: Tensor, t: Tensor, v: Tensor, r: float
    ) -> tuple[Tensor, Tensor]:
        """Output and ``g``, both ``[b, ...]``, where the state moves with ``dx/dtau = v``."""
        c = model.path.coefficients(t)
        alpha, sigma = expand(c.alpha, x), expand(c.sigma, x)
        output, slope = along(model, x, t, D_TAU * v)
        first = alpha * (output.detach() - v)
        return output, -alpha * (first + r * sigma * (x + slope / D_TAU))


build = ContinuousConsistency
