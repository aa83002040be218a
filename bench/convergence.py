"""How fast every solver converges: its end points against those of a reference, on an exact flow.

The law is a fixed mixture in the plane, its flow is known in closed form, and everything runs in
float64. Paths are cut to :data:`LOG_SNR`, inside of which all coefficients are smooth, so that a
solver shows its order with the start-up that it has. Solvers run on their own grids, from the same
starts; those of data-dependent cost are made to take equal steps of time and to accept each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.budget import counted
from bench.exact import ExactModel
from bench.oracles import GaussianMixture
from bench.paths import Path
from bench.sampling import Request, cut_to, solve
from bench.solvers import grids, ode
from bench.solvers.catalogue import Solver
from bench.streams import normal_per_sample

LOG_SNR = (-4.0, 4.0)
"""Where the flow is solved: noise levels 7.4 to 0.14."""

SAMPLES = 16
INTERVALS = (8, 16, 32, 64, 128)

REFERENCE = "dopri8"
TOLERANCE = 1e-12

ROUNDING = 1e-12
"""Errors below it are float64's, and the reference's."""


@dataclass(frozen=True)
class Run:
    """One solve.

    Attributes:
        intervals: of the grid.
        evaluations: of the field, counted.
        rmse: root mean square distance of the end points to the reference's, a coordinate.
    """

    intervals: int
    evaluations: int
    rmse: float


def law() -> GaussianMixture:
    """Three unequal modes, one of them tilted."""
    means = torch.tensor([[1.2, 0.3], [-0.7, 0.9], [-0.4, -1.1]], dtype=torch.float64)
    shapes = torch.tensor(
        [[[0.30, 0.10], [0.10, 0.20]], [[0.15, 0.0], [0.0, 0.15]], [[0.25, 0.0], [0.0, 0.10]]],
        dtype=torch.float64,
    )
    return GaussianMixture(torch.tensor([0.5, 0.3, 0.2]), means, shapes)


def errors(path: Path, solver: Solver, intervals: Sequence[int] = INTERVALS) -> list[Run]:
    """Solves of ``solver`` with each number of intervals, the coarse ones first.

    Raises:
        ValueError: the solver is stochastic, or does not integrate a flow.
    """
    if solver.order is None or solver.stochastic:
        raise ValueError(f"{solver.name} has no order of convergence of end points")
    model = ExactModel(law(), cut_to(path, LOG_SNR))
    z = normal_per_sample(range(SAMPLES), (2,), "convergence").double()
    start = model.path.start_scale() * z
    with counted(), torch.no_grad():
        reference = ode.solve_adaptive(
            model.velocity, start, model.path.interval, REFERENCE, TOLERANCE
        )
        return [_run(model, solver, start, reference, count) for count in intervals]


def order(runs: Sequence[Run]) -> float:
    """Slope of log error over log intervals: the steepest that the last three sound runs allow.

    Runs at float64's rounding are left out. nan where fewer than two are left.
    """
    sound = [run for run in runs if run.rmse > ROUNDING][-3:]
    if len(sound) < 2:
        return math.nan
    x = torch.tensor([math.log(run.intervals) for run in sound], dtype=torch.float64)
    y = torch.tensor([-math.log(run.rmse) for run in sound], dtype=torch.float64)
    x, y = x - x.mean(), y - y.mean()
    return float((x * y).sum() / (x * x).sum())


def _run(
    model: ExactModel, solver: Solver, start: Tensor, reference: Tensor, intervals: int
) -> Run:
    with counted() as passes:
        if solver.cost is None:
            times = grids.uniform_t(model.path, intervals)
            end = ode.solve_constant(model.velocity, start, times, solver.name)
        else:
            end = solve(model, start, Request(solver, solver.cost(intervals)))
    rmse = float((end - reference).square().mean().sqrt())
    return Run(intervals, passes.forwards // len(start), rmse)
