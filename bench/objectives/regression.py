"""Regression of the network's output onto its target for a pair.

Conditional flow matching and denoising score matching (2210.02747, 2006.11239, 2206.00364).
"""

from __future__ import annotations

from torch import Tensor

from bench.couplings import Pair
from bench.models import PathModel
from bench.predictions import target
from bench.tensors import expand, per_sample_mean
from bench.time_sampling import TIME_SAMPLINGS


class Regression:
    """``mean |F(x_t, t) - target|^2`` at sampled times, in the space of the network's output.

    With unit weighting this is the "simple" loss for noise, conditional flow matching for
    velocity, and EDM's own loss for its preconditioning.

    Args:
        time_sampling: name of the law of t, in ``bench.time_sampling.TIME_SAMPLINGS``.
        weighting: factor of the loss; ``unit``.
    """

    def __init__(self, time_sampling: str, weighting: str = "unit") -> None:
        if weighting != "unit":
            raise ValueError(f"unknown weighting {weighting!r}; known: unit")
        self.time_sampling = TIME_SAMPLINGS[time_sampling]
        self.teacher: PathModel | None = None

    def __call__(self, model: PathModel, pair: Pair, uniform: Tensor, progress: float) -> Tensor:
        """Loss per sample, ``[b]``."""
        t = self.time_sampling(uniform, model.path)
        c = model.path.coefficients(t)
        x = expand(c.alpha, pair.data) * pair.data + expand(c.sigma, pair.data) * pair.noise
        wanted = target(model.prediction(c, model.sigma_data), pair.data, pair.noise)
        return per_sample_mean((model.output(x, c) - wanted).square())


build = Regression
