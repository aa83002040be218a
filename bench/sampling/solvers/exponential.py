"""Exponential integrators of the probability flow, on any Gaussian path.

They integrate the linear part of the flow exactly and see a path only through ``alpha`` and
``sigma`` at the grid's points. With ``lambda = log(alpha/sigma)``, an interval of length ``h`` in
lambda, and ``D(s)`` an estimate of the data at the share ``s`` of it, the flow is exactly::

    x' = keep*x + gain*E[D(s)],    keep = sigma'/sigma,    gain = alpha' - alpha*keep

with the mean over ``s`` in [0, 1] under a density proportional to ``exp(h*s)``. The solvers differ
in the weights that they give to the estimates they have:

* ``ddim`` (Song et al., 2020, 2010.02502): the latest estimate.
* ``dpmpp_2m`` (Lu et al., 2022, 2211.01095; multistep): the line through the last two, its slope
  weighted by the limit of the mean of s in short intervals, :data:`HALF`.
* ``dpmpp_3m``: the parabola through the last three, its coefficients of s and of s^2 weighted by
  the mean of s and by half the mean of s^2, as in the authors' code. Integrated exactly, the
  latter weight is twice that: 3M is of second order, even if it started exactly.
* ``eab3`` (Zhang & Chen, 2022, 2204.13902; exponential Adams-Bashforth): the parabola through the
  last three, integrated exactly; of second order, because it starts with one estimate.
* ``unipc`` (Zhao et al., 2023, 2302.04867; UniP-2 and UniC-2, ``B(h) = expm1``): predicts as 2M
  does, evaluates, and with that evaluation corrects the interval just taken; the last one is left
  uncorrected.
* ``dpmpp_2s`` (Lu et al., 2022, 2211.01095; singlestep): an estimate halfway in lambda, reached by
  DDIM.

Where an interval is infinitely long in lambda, on a path that starts in pure noise or ends in pure
data, estimates of other times are left out. The corrector is then the trapezoidal rule in
alpha/sigma, and ``dpmpp_2s`` the midpoint rule in alpha/sigma or, towards the data, in sigma/alpha.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor

from bench.sampling.solvers.schedule import Denoiser, Point, Schedule

Method = Callable[[Denoiser, Tensor, Schedule], Tensor]
"""Start ``[b, ...]`` at the schedule's first point to the end at its last."""

Rule = Callable[[Sequence[float], float], list[float]]
"""Weights, of sum 1, of the estimates at values of lambda, the latest first, up to a next one."""

HALF = 0.5
"""The mean of s in the limit of a short interval."""


def linear_part(now: Point, ahead: Point) -> tuple[float, float]:
    """``keep`` and ``gain`` of an interval: the step is ``keep*x + gain*D``."""
    keep = ahead.sigma / now.sigma
    return keep, ahead.alpha - now.alpha * keep


def step(x: Tensor, estimate: Tensor, now: Point, ahead: Point) -> Tensor:
    """The exact step for an estimate of the data that does not change: DDIM."""
    keep, gain = linear_part(now, ahead)
    return keep * x + gain * estimate


def _multistep(rule: Rule, reach: int) -> Method:
    """One evaluation an interval; ``rule`` weights the last ``reach`` estimates."""

    def solve(denoiser: Denoiser, start: Tensor, schedule: Schedule) -> Tensor:
        x = start
        seen: list[tuple[float, Tensor]] = []
        for now, ahead in pairwise(schedule.points):
            seen = _remember(seen, now, denoiser(x, now), reach)
            x = step(x, _weighted(seen, ahead, rule), now, ahead)
        return x

    return solve


def _unipc(denoiser: Denoiser, start: Tensor, schedule: Schedule) -> Tensor:
    """Predict, evaluate there, correct with that evaluation: one evaluation an interval."""
    *intervals, last = pairwise(schedule.points)
    x = start
    seen = _remember([], schedule.points[0], denoiser(start, schedule.points[0]), 2)
    for now, ahead in intervals:
        there = denoiser(step(x, _weighted(seen, ahead, _second), now, ahead), ahead)
        weights = _corrector([level for level, _ in seen], ahead.half_log_snr)
        x = step(x, _sum(weights, [there, *(estimate for _, estimate in seen)]), now, ahead)
        seen = _remember(seen, ahead, there, 2)
    return step(x, _weighted(seen, last[1], _second), *last)


def _dpmpp_2s(denoiser: Denoiser, start: Tensor, schedule: Schedule) -> Tensor:
    """Two evaluations an interval: at its start and halfway."""
    x = start
    for now, ahead in pairwise(schedule.points):
        halfway = schedule.at(_halfway(now.half_log_snr, ahead.half_log_snr))
        first = denoiser(x, now)
        estimate = denoiser(step(x, first, now, halfway), halfway)
        if ahead.sigma == 0:
            # In sigma/alpha, which halves, the midpoint rule ends at the line through both.
            estimate = 2 * estimate - first
        x = step(x, estimate, now, ahead)
    return x


def _halfway(low: float, high: float) -> float:
    """In lambda; in alpha/sigma where that starts at 0, in sigma/alpha where that ends at 0."""
    if math.isinf(low):
        return 0.0 if math.isinf(high) else high - math.log(2)
    return low + math.log(2) if math.isinf(high) else (low + high) / 2


def _first(levels: Sequence[float], end: float) -> list[float]:
    return [1.0]


def _second(levels: Sequence[float], end: float) -> list[float]:
    return _newton(levels, end, HALF, 0.0)


def _third(levels: Sequence[float], end: float) -> list[float]:
    if len(levels) < 3:
        return _second(levels, end)
    mean, mean_square = _moments(end - levels[0])
    return _newton(levels, end, mean, mean_square / 2)


def _adams_bashforth(levels: Sequence[float], end: float) -> list[float]:
    return _newton(levels, end, *_moments(end - levels[0]))


def _corrector(levels: Sequence[float], end: float) -> list[float]:
    """Weights of the estimate at ``end`` and of those at ``levels``.

    The line through the last two estimates becomes a parabola through ``end`` as well, integrated
    exactly; with one estimate, or from pure noise, it is the mean of the two ends.
    """
    if len(levels) == 1 or math.isinf(levels[0]):
        return [HALF, HALF]
    h = end - levels[0]
    before = (levels[1] - levels[0]) / h
    mean, mean_square = _moments(h)
    # Through s = before, 0 and 1: coefficients of the first and of the last, from their means.
    first = (mean_square - mean) / (before * (before - 1))
    last = (mean_square - before * mean) / (1 - before)
    return [last, 1 - first - last, first]


def _newton(levels: Sequence[float], end: float, first: float, second: float) -> list[float]:
    """Weights of ``m_0, m_1, m_2`` in ``m_0 + first*D_1 + second*D_2``.

    ``D_1`` and ``D_2`` are the coefficients of s and of s^2 in the polynomial through the
    estimates, with s in units of the interval ahead.
    """
    if len(levels) == 1:
        return [1.0]
    h = end - levels[0]
    r = [(later - earlier) / h for later, earlier in pairwise(levels)]
    if len(levels) == 2:
        return [1 + first / r[0], -first / r[0]]
    share = (first * r[0] + second) / (r[0] + r[1])
    latest, before = (first + share) / r[0], share / r[1]
    return [1 + latest, -latest - before, before]


def _moments(h: float) -> tuple[float, float]:
    """Means of s and of s^2 under the density proportional to ``exp(h*s)`` on [0, 1]."""
    inverse = -1 / math.expm1(-h)
    return inverse - 1 / h, (1 - 2 / h) * inverse + 2 / h**2


def _remember(
    seen: list[tuple[float, Tensor]], now: Point, estimate: Tensor, reach: int
) -> list[tuple[float, Tensor]]:
    """The latest estimates, this one first; one in pure noise is of no use to later intervals."""
    finite = [(level, past_estimate) for level, past_estimate in seen if math.isfinite(level)]
    return [(now.half_log_snr, estimate), *finite][:reach]


def _weighted(seen: list[tuple[float, Tensor]], ahead: Point, rule: Rule) -> Tensor:
    """The estimate for the interval ahead; the latest alone where that is infinitely long."""
    levels, end = [level for level, _ in seen], ahead.half_log_snr
    finite = math.isfinite(levels[0]) and math.isfinite(end)
    return _sum(rule(levels, end) if finite else [1.0], [estimate for _, estimate in seen])


def _sum(weights: Sequence[float], estimates: Sequence[Tensor]) -> Tensor:
    total = estimates[0] if weights[0] == 1 else weights[0] * estimates[0]
    for weight, estimate in zip(weights[1:], estimates[1:], strict=False):
        total = total + weight * estimate
    return total


METHODS: dict[str, Method] = {
    "ddim": _multistep(_first, 1),
    "dpmpp_2s": _dpmpp_2s,
    "dpmpp_2m": _multistep(_second, 2),
    "dpmpp_3m": _multistep(_third, 3),
    "unipc": _unipc,
    "eab3": _multistep(_adams_bashforth, 3),
}
