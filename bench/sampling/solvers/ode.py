"""torchdiffeq behind one adapter that avoids its known traps (version 0.2.5).

* A fixed solver given ``t = [0, 1]`` takes a single interval, and ``step_size = 1/N`` takes N+1
  for many N: the exact grid is handed over by ``grid_constructor``, so that the end point alone
  is kept in memory.
* ``odeint`` moves the grid to the state's device, where every interval then waits for a comparison
  of times, and rounds times to the state's precision: near the data a time in float32 can be
  another noise level. Methods on a grid therefore run by torchdiffeq's own solver classes, with
  the grid in float64 on the host.
* Adaptive solvers step past the last time and interpolate back: ``step_t`` stops them there. The
  probe for the first step is not bounded by it, so the first step is given: 1% of the interval.
* The error norm of an adaptive solver spans the batch: its cost is a property of the batch.
* The Adams methods take their coefficients from equal steps, so they run on equal steps only. With
  the default ``max_order`` of 12 they are erratic; with 5, ``explicit_adams`` is Adams-Bashforth of
  order 4 and ``implicit_adams`` its correction by Adams-Moulton of order 5.
* ``implicit_adams`` never changes its grid: a tolerance decides how often each interval is
  corrected, at most four times. Here it decides the number of intervals as well, see
  :func:`adams_intervals`.

``heun2`` is the trapezoidal rule with two evaluations an interval; ``rk4`` is the 3/8 rule;
``adaptive_heun`` and ``fehlberg2`` reuse the last stage of a step as the first of the next, though
it was taken at another state: one and two evaluations a step.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torchdiffeq import odeint
from torchdiffeq._impl.odeint import SOLVERS

Field = Callable[[Tensor, Tensor], Tensor]
"""Velocity at ``x [b, ...]`` and ``t [1]``, which is float64."""

FIRST_STEP = 0.01
"""First step of an adaptive solver, as a share of the interval."""

MAX_ORDER = 5
"""Of the Adams methods, in torchdiffeq's count."""

ROUNDING = 1e-6
"""How far adaptive solvers, whose times are sums in float32, may miss the ends of the interval."""


LAST_DIGITS = 1e-14
"""How far a stage at the end of an interval, whose time is a sum in float64, may miss it."""


def solve_fixed(field: Field, start: Tensor, times: Tensor, method: str) -> Tensor:
    """End point ``[b, ...]`` of ``dx/dt = field(x, t)`` along the grid ``times [n + 1]``.

    Raises:
        ValueError: a grid of unequal steps for ``explicit_adams``.
    """
    grid = times.cpu()
    return _on_grid(field, start, grid, grid[[0, -1]], method, 0.0)[-1].clone()


def solve_dense(field: Field, start: Tensor, times: Tensor, method: str) -> Tensor:
    """States ``[n + 1, b, ...]`` at all of ``times``, with a fixed method."""
    grid = times.cpu()
    return _on_grid(field, start, grid, grid, method, 0.0)


def solve_adaptive(
    field: Field, start: Tensor, interval: tuple[float, float], method: str, tolerance: float
) -> Tensor:
    """End point ``[b, ...]`` with relative and absolute tolerance ``tolerance``."""
    if method == "implicit_adams":
        grid = torch.linspace(*interval, adams_intervals(tolerance) + 1, dtype=torch.float64)
        return _on_grid(field, start, grid, grid[[0, -1]], method, tolerance)[-1].clone()
    times = torch.tensor(interval, dtype=torch.float64, device=start.device)
    options = {"step_t": times[1:], "first_step": FIRST_STEP * (times[1] - times[0])}
    return _with_error_control(field, start, times, method, tolerance, options)


def solve_constant(field: Field, start: Tensor, times: Tensor, method: str) -> Tensor:
    """End point of an adaptive method that takes just the steps of ``times [n + 1]``.

    Not for sampling: it shows the order of convergence. ``implicit_adams`` corrects until nothing
    changes.
    """
    if method == "implicit_adams":
        grid = times.cpu()
        return _on_grid(field, start, grid, grid[[0, -1]], method, 1e-13, max_iters=50)[-1].clone()
    times = times.to(start.device)
    # A step longer than any of the grid, cut at the grid's next point; none is below min_step.
    step = 2 * times.diff().max()
    options = {"step_t": times[1:], "first_step": step, "min_step": step, "max_step": step}
    return _with_error_control(field, start, times[[0, -1]], method, 1.0, options)


def adams_intervals(tolerance: float) -> int:
    """Intervals of ``implicit_adams``: ``ceil(4*tolerance^(-1/5))``, a method of order 5.

    7, 16 and 41 at 1e-1, 1e-3 and 1e-5.
    """
    return math.ceil(4 * tolerance ** (-1 / 5))


def _on_grid(
    field: Field,
    start: Tensor,
    grid: Tensor,
    wanted: Tensor,
    method: str,
    tolerance: float,
    **options: int,
) -> Tensor:
    """States ``[len(wanted), b, ...]`` by a method that runs on ``grid``; both on the host."""
    if method.endswith("adams"):
        steps = grid.diff()
        if not torch.allclose(steps, steps.mean(), rtol=1e-6, atol=0.0):
            raise ValueError(f"{method} is defined on equal steps only, such as those of uniform_t")
        options["max_order"] = MAX_ORDER
    solver = SOLVERS[method](
        func=_OnHostTimes(field, float(grid[0]), float(grid[-1])),
        y0=start,
        rtol=tolerance,
        atol=tolerance,
        grid_constructor=lambda func, y0, t: grid,
        **options,
    )
    states: Tensor = solver.integrate(wanted)
    return states


class _OnHostTimes:
    """A field as torchdiffeq's solver classes call it, at times that are on the host."""

    def __init__(self, field: Field, low: float, high: float) -> None:
        self.field, self.low, self.high = field, low, high

    def __call__(self, t: Tensor, x: Tensor, *, perturb: object = None) -> Tensor:
        at = float(t)
        if not self.low - LAST_DIGITS <= at <= self.high + LAST_DIGITS:
            raise ValueError(f"evaluation at t={at} outside [{self.low}, {self.high}]")
        at = min(max(at, self.low), self.high)
        return self.field(x, torch.tensor([at], dtype=torch.float64))

    def callback_step(self, t0: Tensor, y0: Tensor, dt: Tensor) -> None:
        """Called by torchdiffeq before each interval."""


def _with_error_control(
    field: Field,
    start: Tensor,
    times: Tensor,
    method: str,
    tolerance: float,
    options: dict[str, Tensor],
) -> Tensor:
    """End point of a Runge-Kutta method with error estimate, from ``times[0]`` to ``times[1]``."""
    low, high = times.tolist()
    asked: list[Tensor] = []

    def velocity(t: Tensor, x: Tensor) -> Tensor:
        asked.append(t)
        return field(x, t.double().clamp(low, high).reshape(1))

    solution: Tensor = odeint(
        velocity,
        start,
        times,
        method=method,
        rtol=tolerance,
        atol=tolerance,
        options=options,
    )
    # Checked once: to look at each time would wait for the device at each evaluation.
    first, last = torch.stack(asked).double().aminmax()
    if not low - ROUNDING <= float(first) <= float(last) <= high + ROUNDING:
        raise ValueError(f"evaluations at t={float(first)}..{float(last)} outside [{low}, {high}]")
    return solution[-1].clone()
