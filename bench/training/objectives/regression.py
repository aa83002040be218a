"""Regression of the network's output onto its target for a pair.

Conditional flow matching and denoising score matching (Lipman et al., 2022, 2210.02747, Ho et al.,
2020, 2006.11239, Karras et al., 2022, 2206.00364).
"""

from __future__ import annotations

from torch import Tensor

from bench.models.path_model import PathModel
from bench.models.predictions import target
from bench.streams import Draws
from bench.tensors import expand, per_sample_mean
from bench.training.couplings import Pair
from bench.training.objectives._base import Objective
from bench.training.time_sampling import TimeSampling
from bench.training.weightings import Weighting


class Regression(Objective):
    """``w(t)*mean |F(x_t, t) - target|^2`` at sampled times, in the space of the output.

    With unit weighting this is the "simple" loss for noise, conditional flow matching for
    velocity, and EDM's own loss for its preconditioning.

    Args:
        time_sampling: law of t.
        weighting: ``w``.
    """

    def __init__(self, time_sampling: TimeSampling, weighting: Weighting) -> None:
        self.time_sampling = time_sampling
        self.weighting = weighting
        self.teacher: PathModel | None = None

    def __call__(self, model: PathModel, pair: Pair, draws: Draws, progress: float) -> Tensor:
        """Loss per sample, ``[b]``."""
        t = self.time_sampling(draws("time"), model.path)
        c = model.path.coefficients(t)
        x = expand(c.alpha, pair.data) * pair.data + expand(c.sigma, pair.data) * pair.noise
        wanted = target(model.prediction(c, model.sigma_data), pair.data, pair.noise)
        error = per_sample_mean((model.output(x, c) - wanted).square())
        return self.weighting(c, model.gain(c)) * error


build = Regression
