"""What is fitted to a model before it is sampled, and the evaluations that takes.

Both read a noise bank of their own, ``pilot``, and the training data alone: neither the noise nor
the held-out data that samples are scored with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.models.meter import counted
from bench.sampling.sample import Flow, Request, denoiser, sample
from bench.sampling.solvers.adapted import ddim_errors, equal_error_grid, euler_errors
from bench.sampling.solvers.catalogue import SOLVERS, Family
from bench.sampling.solvers.grids import Clock, Grid, edm_levels, uniform_log_snr
from bench.sampling.solvers.schedule import Schedule

CONSISTENCY = SOLVERS["consistency"]

PILOT_INTERVALS = 64
CANDIDATES = 16
"""Intervals, equal on EDM's scale, whose inner points a search of times tries."""


@dataclass(frozen=True)
class Fitted:
    """A grid that was made for a model.

    Attributes:
        grid: of any number of intervals.
        evaluations: evaluations of the network that it took, in samples.
    """

    grid: Grid
    evaluations: int


@torch.no_grad()
def adapted_grid(model: Flow, noise: Tensor, family: Family) -> Fitted:
    """Intervals of equal local error along a pilot solve of :data:`PILOT_INTERVALS` intervals.

    Args:
        model: sampled on its own path.
        noise: standard normal, ``[b, ...]``.
        family: ``fixed``: errors of Euler's method in the path's time. ``exponential``: of DDIM.
    """
    times = uniform_log_snr(model.path, PILOT_INTERVALS)
    start = model.path.start_scale() * noise
    with counted() as passes:
        if family == "fixed":
            errors = euler_errors(model.velocity, start, times)
        else:
            errors = ddim_errors(denoiser(model), start, Schedule.of(model.path, times))
    return Fitted(equal_error_grid(times, errors), passes.forwards)


@torch.no_grad()
def searched_times(
    model: Flow,
    noise: Tensor,
    fresh: Callable[[int, slice], Tensor],
    score: Callable[[Tensor], float],
    largest: int,
) -> Fitted:
    """Times of consistency sampling that score best, found one after the other.

    The greedy search of Song et al., 2023, 2303.01469 (section 5): with the times found so far
    held, one more is tried at each inner point of :data:`CANDIDATES` equal intervals of EDM's
    scale.

    Args:
        model: a consistency model.
        noise: standard normal, ``[n, ...]``.
        fresh: noise of some of the samples for the interval of an index.
        score: of samples ``[n, ...]``; lower is better.
        largest: most evaluations a sample that the grid will be asked for.
    """
    times = edm_levels(model.path, CANDIDATES)
    left, best = list(times[1:-1].split(1)), [times[[0, -1]]]
    spent = 0
    for count in range(2, min(largest // model.evaluations, CANDIDATES) + 1):
        scores = []
        for candidate in left:
            tried = torch.cat([best[-1], candidate]).sort().values
            request = Request(CONSISTENCY, count * model.evaluations, grid=_always(tried))
            solution = sample(model, noise, request, len(noise), fresh)
            scores.append(score(solution.end))
            spent += round(solution.nfe * len(noise))
        added_time = left.pop(scores.index(min(scores)))
        best.append(torch.cat([best[-1], added_time]).sort().values)

    def grid(clock: Clock, count: int) -> Tensor:
        if count > len(best):
            raise ValueError(f"times were searched for up to {len(best)} evaluations, not {count}")
        return best[count - 1]

    return Fitted(grid, spent)


def _always(times: Tensor) -> Grid:
    return lambda clock, count: times
