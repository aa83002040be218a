"""Solvers of the reverse diffusion, on any Gaussian path; one evaluation an interval.

``ancestral`` (DDPM, Ho et al., 2020, 2006.11239) draws from the posterior ``q(x' | x, data = D)``
of the forward process. With ``k = (alpha*sigma')/(alpha'*sigma)``, the exponential of minus the
interval's length in ``log(alpha/sigma)``, and the estimate of the noise
``e = (x - alpha*D)/sigma``::

    x' = alpha'*D + sigma'*(k*e + sqrt(1 - k^2)*z)

It is finite everywhere: from pure noise ``k = 0``, and into pure data ``x' = D``.

``euler_maruyama`` steps the variance-preserving equation of Song et al., 2020, 2011.13456 back, in
the integral ``B`` of its rate. Every Gaussian path is that one in other coordinates,
``y = x/sqrt(alpha^2 + sigma^2)`` with ``B = log(1 + (sigma/alpha)^2)``, so that::

    y' = y + (y/2 + score)*(B - B') + sqrt(B - B')*z

The noise of the last interval is added too. From pure noise B is infinite, and the step is the
ancestral one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

from torch import Tensor

from bench.sampling.solvers.schedule import Denoiser, Noise, Point, Schedule


def ancestral(denoiser: Denoiser, start: Tensor, schedule: Schedule, noise: Noise) -> Tensor:
    """The end of a chain of posterior draws."""
    x = start
    for i, (now, ahead) in enumerate(pairwise(schedule.points)):
        x = _posterior_draw(x, denoiser(x, now), noise(i), now, ahead)
    return x


def euler_maruyama(denoiser: Denoiser, start: Tensor, schedule: Schedule, noise: Noise) -> Tensor:
    """The end of the reverse equation, by Euler-Maruyama."""
    x = start
    for i, (now, ahead) in enumerate(pairwise(schedule.points)):
        estimate, z = denoiser(x, now), noise(i)
        if now.alpha == 0:
            x = _posterior_draw(x, estimate, z, now, ahead)
            continue
        length = _integrated_rate(now) - _integrated_rate(ahead)
        before, after = math.hypot(now.alpha, now.sigma), math.hypot(ahead.alpha, ahead.sigma)
        # The score in y is (alpha*D - x)*before/sigma^2.
        drift = x / (2 * before) + (now.alpha * estimate - x) * (before / now.sigma**2)
        x = after * (x / before + length * drift + math.sqrt(length) * z)
    return x


def _posterior_draw(x: Tensor, estimate: Tensor, z: Tensor, now: Point, ahead: Point) -> Tensor:
    k = (now.alpha / ahead.alpha) * (ahead.sigma / now.sigma)
    keep = ahead.sigma / now.sigma * k
    spread = ahead.sigma * math.sqrt(1 - k**2)
    return keep * x + (ahead.alpha - now.alpha * keep) * estimate + spread * z


def _integrated_rate(point: Point) -> float:
    return math.log1p((point.sigma / point.alpha) ** 2)


METHODS: dict[str, Callable[[Denoiser, Tensor, Schedule, Noise], Tensor]] = {
    "ancestral": ancestral,
    "euler_maruyama": euler_maruyama,
}
