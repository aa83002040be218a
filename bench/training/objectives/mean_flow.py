"""Mean flows (Geng et al., 2025, 2505.13447): the average velocity, from its own derivative.

The average velocity ``u(x_t, t, r) = 1/(r - t) * int_t^r v ds`` of the trajectory through ``x_t``
is the flow map from t to ``r = t + ahead``. Its derivative by t along the trajectory, with r held
fixed, gives the identity that it is trained on (the paper's equation 6; time runs from noise to
data here, and the interval lies ahead)::

    u(x_t, t, r) = v(x_t, t) + (r - t)*du/dt

The velocity of the pair stands in for v, whose mean given x_t it has.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.models.path_model import PathModel
from bench.options import requires
from bench.streams import Draws
from bench.tensors import expand
from bench.training.couplings import Pair
from bench.training.objectives._base import Objective
from bench.training.objectives._derivative import along
from bench.training.time_sampling import TimeSampling
from bench.training.weightings import Weighting

FLOOR = 1e-3
"""Keeps the adaptive weight finite (section 4.3)."""


class MeanFlow(Objective):
    """``w * |u - stopgrad(v + (r - t)*du/dt)|^2`` with ``w = 1/(|error|^2 + 0.001)^power``.

    Args:
        time_sampling: law of both ends of the interval, drawn independently and then sorted.
        weighting: a further factor.
        instantaneous: share of the samples whose interval is empty: flow matching.
        power: of the adaptive weight (the paper's p); 0 for the squared error.
    """

    @requires("0 <= instantaneous <= 1", "power >= 0")
    def __init__(
        self,
        time_sampling: TimeSampling,
        weighting: Weighting,
        instantaneous: float = 0.75,
        power: float = 0.0,
    ) -> None:
        self.time_sampling = time_sampling
        self.weighting = weighting
        self.instantaneous = instantaneous
        self.power = power
        self.teacher: PathModel | None = None

    def __call__(self, model: PathModel, pair: Pair, draws: Draws, progress: float) -> Tensor:
        """Loss per sample, ``[b]``."""
        first_time, second_time = (
            self.time_sampling(draws(end), model.path) for end in ("time", "end")
        )
        t = torch.minimum(first_time, second_time)
        empty = draws("interval") < self.instantaneous
        ahead = torch.where(empty, 0.0, torch.maximum(first_time, second_time) - t)
        c = model.path.coefficients(t)
        x = expand(c.alpha, pair.data) * pair.data + expand(c.sigma, pair.data) * pair.noise
        v = expand(c.d_alpha, x) * pair.data + expand(c.d_sigma, x) * pair.noise
        u, slope = along(model, x, t, v, ahead)
        squared = (u - v - expand(ahead, x) * slope).square().flatten(1).sum(1)
        adaptive = (squared.detach() + FLOOR) ** -self.power
        return self.weighting(c, model.gain(c)) * adaptive * squared


build = MeanFlow
