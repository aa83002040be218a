"""EDM's samplers (Karras et al., 2022, 2206.00364) on any Gaussian path.

In units of the data, ``y = x/alpha``, the flow is ``dy/ds = (y - D)/s`` with the noise level
``s = sigma/alpha``, whatever the path. Algorithm 1 solves it by Heun's method and leaves out the
corrector of the last interval, so that ``n`` intervals take ``2n - 1`` evaluations. Back in ``x``,
with the step of DDIM, which is Euler's in s, and the estimates ``D`` and ``D'`` at both ends::

    x' = ddim + alpha'*(s - s')/(2*s')*(D' - D)

From pure noise, where ``s`` is infinite, it is Heun's method in alpha/sigma instead:
``x' = ddim + alpha'/2*(D' - D)``.

Algorithm 2 (``edm_churn``) first raises the noise level by the factor ``1 + gamma``, with
``gamma = min(S_churn/n, sqrt(2) - 1)`` where the level lies in [S_tmin, S_tmax], and never above
the path's highest level: at the first point nothing is added.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

from torch import Tensor

from bench.sampling.solvers.exponential import step
from bench.sampling.solvers.schedule import Denoiser, Noise, Point, Schedule

S_CHURN = 40.0
S_TMIN = 0.05
S_TMAX = 50.0
"""Those of the paper for ImageNet at 64 pixels (table 5)."""

S_NOISE = 1.0
"""The paper's 1.003 makes up for detail that networks lose; an exact estimate needs none."""


def heun(denoiser: Denoiser, start: Tensor, schedule: Schedule) -> Tensor:
    """Algorithm 1: ``2n - 1`` evaluations."""
    x, last = start, schedule.points[-1]
    for now, ahead in pairwise(schedule.points):
        x = _heun_step(denoiser, x, now, ahead, correct=ahead is not last)
    return x


def churn(
    denoiser: Denoiser,
    start: Tensor,
    schedule: Schedule,
    noise: Noise,
    s_churn: float = S_CHURN,
    s_noise: float = S_NOISE,
) -> Tensor:
    """Algorithm 2: ``2n - 1`` evaluations, all of them inside the path's interval."""
    points = schedule.points
    x, last = start, points[-1]
    factor = 1 + min(s_churn / (len(points) - 1), math.sqrt(2) - 1)
    for i, (now, ahead) in enumerate(pairwise(points)):
        level = _level(now)
        if S_TMIN <= level <= S_TMAX:
            raised = _raised(schedule, level * factor)
            added = math.sqrt(max(_level(raised) ** 2 - level**2, 0.0))
            x = raised.alpha * (x / now.alpha + added * s_noise * noise(i))
            now = raised
        x = _heun_step(denoiser, x, now, ahead, correct=ahead is not last)
    return x


def _heun_step(denoiser: Denoiser, x: Tensor, now: Point, ahead: Point, *, correct: bool) -> Tensor:
    estimate = denoiser(x, now)
    x = step(x, estimate, now, ahead)
    if not correct:
        return x
    gap = (denoiser(x, ahead) - estimate) * (ahead.alpha / 2)
    return x + (gap if now.alpha == 0 else gap * (_level(now) / _level(ahead) - 1))


def _raised(schedule: Schedule, level: float) -> Point:
    """The path's point of a noise level, its first one if it has no such level."""
    first = schedule.points[0]
    return first if level >= _level(first) else schedule.at(-math.log(level))


def _level(point: Point) -> float:
    return math.inf if point.alpha == 0 else point.sigma / point.alpha


METHODS: dict[str, Callable[..., Tensor]] = {"edm_heun": heun, "edm_churn": churn}
