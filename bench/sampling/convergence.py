"""How fast every solver converges on an exact flow, measured against what the catalogue declares.

The law is a fixed mixture in the plane whose flow is known in closed form, and everything runs in
float64. Paths are cut to :data:`LOG_SNR`, inside of which all coefficients are smooth, so that a
solver shows its order with the start-up that it has. Solvers run on their own grids; those of
data-dependent cost are made to take equal steps of time and to accept each.

A deterministic solver is measured by its end points, against a reference from the same starts. A
stochastic one is measured by the law of its end points. On one Gaussian every estimate of the data
is affine in the state, so that the end is an affine map of the start and of all noise drawn on the
way: its mean and its spread are read off that map, without Monte Carlo.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.data.mixture import GaussianMixture
from bench.models.exact import ExactModel
from bench.models.meter import counted
from bench.models.paths import Path
from bench.sampling.order import ROUNDING, order
from bench.sampling.path_change import cut_to
from bench.sampling.sample import Request, solve
from bench.sampling.solvers import grids, ode
from bench.sampling.solvers.catalogue import Solver
from bench.streams import normal_per_sample

LOG_SNR = (-4.0, 4.0)
"""Where the flow is solved: noise levels 7.4 to 0.14."""

METRIC = "convergence_rmse"

SAMPLES = 16
INTERVALS = (8, 12, 16, 32, 64, 128, 256)
CHURNED_INTERVALS = (128, 256, 512)
"""With fewer than 97, EDM's cap on churn holds and the noise added grows with the intervals."""

REFERENCE = "dopri8"
REFERENCE_INTERVALS = 40
"""Equal steps of time; its own error is then a tenth of ``ROUNDING`` and less."""

SETTLED = 0.1
"""Three slopes in a row as close as this need no finer run."""


@dataclass(frozen=True)
class Run:
    """One solve.

    Attributes:
        intervals: of the grid.
        evaluations: of the field, counted.
        error: root mean square distance of the end points to the reference's, a coordinate; of a
            stochastic solver the Wasserstein-2 distance of its law to the exact one, a coordinate.
    """

    intervals: int
    evaluations: int
    error: float


def mixture() -> GaussianMixture:
    """Three unequal modes that overlap, so that even order 8 shows before rounding does."""
    means = torch.tensor([[0.6, 0.2], [-0.4, 0.5], [-0.2, -0.6]], dtype=torch.float64)
    shapes = torch.tensor(
        [[[0.6, 0.2], [0.2, 0.4]], [[0.3, 0.0], [0.0, 0.3]], [[0.5, 0.0], [0.0, 0.2]]],
        dtype=torch.float64,
    )
    return GaussianMixture(torch.tensor([0.5, 0.3, 0.2]), means, shapes)


def gaussian() -> GaussianMixture:
    """One mode, off the origin, with two spreads."""
    mean = torch.tensor([[0.6, -0.3]], dtype=torch.float64)
    return GaussianMixture.diagonal(torch.ones(1), mean, torch.tensor([[0.3, 0.8]]))


@torch.no_grad()
def errors(path: Path, solver: Solver) -> list[Run]:
    """Solves of ``solver`` with more and more intervals.

    They end where the slope has settled, or at float64's rounding.

    Raises:
        ValueError: the solver declares no order.
    """
    if solver.order is None:
        raise ValueError(f"{solver.name} has no order of convergence")
    path = cut_to(path, LOG_SNR)
    if solver.stochastic:
        counts = CHURNED_INTERVALS if solver.name == "edm_churn" else INTERVALS
        return [_law(ExactModel(gaussian(), path), solver, count) for count in counts]
    model = ExactModel(mixture(), path)
    start = path.start_scale() * normal_per_sample(range(SAMPLES), (2,), "convergence").double()
    with counted():
        times = grids.uniform_t(path, REFERENCE_INTERVALS)
        reference = ode.solve_constant(model.velocity, start, times, REFERENCE)
    runs: list[Run] = []
    for intervals in INTERVALS:
        runs.append(_end(model, solver, start, reference, intervals))
        slopes = [order(runs[: len(runs) - i]) for i in range(3)]
        settled = len(runs) > 4 and max(slopes) - min(slopes) < SETTLED
        if settled or runs[-1].error < ROUNDING:
            break
    return runs


def _end(
    model: ExactModel, solver: Solver, start: Tensor, reference: Tensor, intervals: int
) -> Run:
    with counted() as passes:
        if solver.cost is None:
            times = grids.uniform_t(model.path, intervals)
            end = ode.solve_constant(model.velocity, start, times, solver.name)
        else:
            end = solve(model, start, Request(solver, solver.spends(intervals)))
    error = float((end - reference).square().mean().sqrt())
    return Run(intervals, passes.forwards // len(start), error)


def _law(model: ExactModel, solver: Solver, intervals: int) -> Run:
    """The end's mean and variances, from one batch: nothing, then one unit of noise each.

    Row 0 starts at the mean of the state and gets no noise; row 1 starts one standard deviation
    off it; row 2+i gets one unit of noise in interval i. The law's coordinates are independent.
    """
    ends = torch.tensor(model.path.interval, dtype=torch.float64)
    c = model.path.coefficients(ends)
    mean, covariance = model.law.moments()
    means = c.alpha[:, None] * mean
    spreads = (c.alpha[:, None] ** 2 * covariance.diagonal() + c.sigma[:, None] ** 2).sqrt()
    start = means[0].repeat(intervals + 2, 1)
    start[1] += spreads[0]

    def unit(interval: int) -> Tensor:
        noise = torch.zeros_like(start)
        noise[2 + interval] = 1
        return noise

    with counted() as passes:
        end = solve(model, start, Request(solver, solver.spends(intervals)), unit)
    spread = (end[1:] - end[0]).square().sum(0).sqrt()
    squared = (end[0] - means[1]).square() + (spread - spreads[1]).square()
    return Run(intervals, passes.forwards // len(start), float(squared.mean().sqrt()))
