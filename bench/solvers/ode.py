"""torchdiffeq behind one adapter that avoids its known traps (version 0.2.5).

* A fixed solver given ``t = [0, 1]`` takes a single interval, and ``step_size = 1/N`` takes N+1
  for many N: the exact grid is handed over by ``grid_constructor``, so that the end point alone
  is kept in memory.
* Adaptive solvers step past the last time and interpolate back: ``step_t`` stops them there. The
  probe for the first step is not bounded by it, so the first step is given: 1% of the interval.
* The error norm of an adaptive solver spans the batch: its cost is a property of the batch.

``heun2`` is the trapezoidal rule with two evaluations an interval; ``rk4`` is the 3/8 rule.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torchdiffeq import odeint

Field = Callable[[Tensor, Tensor], Tensor]
"""Velocity at ``x [b, ...]`` and ``t [b]``; times are float64, see :func:`_bounded`."""

FIRST_STEP = 0.01


def solve_fixed(field: Field, start: Tensor, grid: Tensor, method: str) -> Tensor:
    """End point ``[b, ...]`` of ``dx/dt = field(x, t)`` along the times ``grid [n+1]``."""
    times = grid[[0, -1]]
    options = {"grid_constructor": lambda func, y0, t: grid}
    solution: Tensor = odeint(_bounded(field, grid), start, times, method=method, options=options)
    return solution[-1]


def solve_dense(field: Field, start: Tensor, grid: Tensor, method: str) -> Tensor:
    """States ``[n+1, b, ...]`` at all times of ``grid``, with a fixed method."""
    states: Tensor = odeint(_bounded(field, grid), start, grid, method=method)
    return states


def solve_adaptive(
    field: Field, start: Tensor, interval: tuple[float, float], method: str, tolerance: float
) -> Tensor:
    """End point with relative and absolute tolerance ``tolerance``; never evaluates outside."""
    times = torch.tensor(interval, dtype=torch.float64, device=start.device)
    options = {"step_t": times[1:], "first_step": FIRST_STEP * (times[1] - times[0])}
    solution: Tensor = odeint(
        _bounded(field, times),
        start,
        times,
        method=method,
        rtol=tolerance,
        atol=tolerance,
        options=options,
    )
    return solution[-1]


def _bounded(field: Field, times: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    low, high = float(times[0]), float(times[-1])

    def velocity(t: Tensor, x: Tensor) -> Tensor:
        # Near the data a time rounded to float32 can be another noise level: times stay float64.
        # Intermediate times are sums of rounded numbers: allow their rounding, nothing more.
        if not low - 1e-6 <= float(t) <= high + 1e-6:
            raise ValueError(f"evaluation at t={float(t)} outside [{low}, {high}]")
        return field(x, t.double().clamp(low, high).expand(len(x)))

    return velocity
