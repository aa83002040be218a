"""Shortcut models (Frans et al., 2024, 2410.12557): one leap is two of half its length.

The first quarter of a batch learns leaps of length 2d from the model's own two leaps of length d,
one after the other; the rest learns the velocity, the leap of no length, by flow matching. Lengths
halve from 1 to 2/128 of the path, and the shortest leap of 1/128 is taken with the velocity itself,
as in the paper. Its targets come from a moving average of the weights; here they come from the
weights themselves, held fixed.
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

SHARE = 4
"""One in so many samples learns a leap; by position, so that every update costs the same."""


class Shortcut(Objective):
    """``|u(x_t, t, 0) - v|^2`` and ``|u(x_t, t, 2d) - (u(x_t, t, d) + u(x_t+d, t+d, d))/2|^2``.

    Args:
        time_sampling: law of t; times of leaps are rounded down to multiples of their length.
        weighting: factor on the squared error.
        finest: number of the shortest leaps that fill the path, a power of two.
    """

    @requires("finest >= 2", "2**30 % finest == 0")
    def __init__(
        self, time_sampling: TimeSampling, weighting: Weighting, finest: int = 128
    ) -> None:
        self.time_sampling = time_sampling
        self.weighting = weighting
        self.finest = finest
        self.teacher: PathModel | None = None

    def __call__(self, model: PathModel, pair: Pair, draws: Draws, progress: float) -> Tensor:
        """Loss per sample, ``[b]``."""
        start, end = model.path.interval
        t = self.time_sampling(draws("time"), model.path)
        leaping = torch.arange(len(t), device=t.device) < len(t) // SHARE
        # 1, 2, 4 ... finest/2 leaps fill the path.
        doublings = self.finest.bit_length() - 1
        leaps = 2.0 ** (draws("step") * doublings).floor().clamp(max=doublings - 1)
        length = (end - start) / leaps
        index = ((t - start) / length).floor().clamp(max=leaps - 1)
        t = torch.where(leaping, start + index * length, t)
        ahead = torch.where(leaping, length, 0.0)

        c = model.path.coefficients(t)
        x = expand(c.alpha, pair.data) * pair.data + expand(c.sigma, pair.data) * pair.noise
        v = expand(c.d_alpha, x) * pair.data + expand(c.d_sigma, x) * pair.noise
        first = slice(0, len(t) // SHARE)
        leap = self.two_leaps(model.part(first), x[first], t[first], ahead[first] / 2)
        wanted = torch.cat([leap, v[first.stop :]])
        error = per_sample_mean((model.output(x, c, ahead) - wanted).square())
        return self.weighting(c, model.gain(c)) * error

    @torch.no_grad()
    def two_leaps(self, model: PathModel, x: Tensor, t: Tensor, half: Tensor) -> Tensor:
        """Average velocity ``[b, ...]`` over two leaps of ``half [b]`` each from ``x`` at ``t``."""
        start, end = model.path.interval
        shortest = half * self.finest < 1.5 * (end - start)
        told = torch.where(shortest, 0.0, half)
        before = model.output(x, model.path.coefficients(t), told)
        middle = model.path.coefficients(t + half)
        after = model.output(x + expand(half, x) * before, middle, told)
        return (before + after) / 2


build = Shortcut
