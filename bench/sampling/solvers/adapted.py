"""Grids of equal local error, from the local errors of a pilot solve on a fine grid.

One step of a first-order method errs by ``m*h^2``, so the square root of the local error adds up
along the grid: points that share the sum equally have intervals of equal local error. Errors are
root mean squares over the pilot's samples, relative to the state's.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from bench.sampling.solvers.grids import Clock, Grid
from bench.sampling.solvers.ode import Field
from bench.sampling.solvers.schedule import Denoiser, Schedule

FLOOR = 1e-3
"""Least share of the mean root error that a pilot interval counts: nothing is skipped whole."""


def euler_errors(field: Field, start: Tensor, times: Tensor) -> Tensor:
    """Local errors ``[n]`` of Euler's method along ``times [n + 1]``, against Heun's.

    Args:
        field: velocity; evaluated ``2*n`` times.
        start: states at the first time, ``[b, ...]``.
        times: the pilot's grid, float64.
    """
    x, errors = start, []
    for now, then in zip(times[:-1].tolist(), times[1:].tolist(), strict=True):
        first = field(x, _one(now))
        euler = x + (then - now) * first
        x = x + (then - now) / 2 * (first + field(euler, _one(then)))
        errors.append(_relative(euler, x))
    return torch.stack(errors).double().cpu()


def ddim_errors(denoiser: Denoiser, start: Tensor, schedule: Schedule) -> Tensor:
    """Local errors ``[n]`` of DDIM along a schedule, against the mean of both ends' estimates."""
    x, errors = start, []
    for here, there in zip(schedule.points[:-1], schedule.points[1:], strict=True):
        keep = there.sigma / here.sigma
        gain = there.alpha - here.alpha * keep
        estimate = denoiser(x, here)
        ddim = keep * x + gain * estimate
        x = keep * x + gain / 2 * (estimate + denoiser(ddim, there))
        errors.append(_relative(ddim, x))
    return torch.stack(errors).double().cpu()


def equal_error_grid(times: Tensor, errors: Tensor) -> Grid:
    """The grid of intervals of equal error, of any count, on the clock of the pilot.

    Args:
        times: the pilot's grid ``[n + 1]``.
        errors: its local errors ``[n]``.

    Raises:
        ValueError: an error is not a finite number.
    """
    if not errors.isfinite().all():
        raise ValueError("the pilot solve did not stay finite")
    root = errors.sqrt()
    share = torch.cat([torch.zeros(1, dtype=root.dtype), (root + FLOOR * root.mean()).cumsum(0)])

    def grid(clock: Clock, count: int) -> Tensor:
        wanted = np.linspace(0, float(share[-1]), count + 1)
        grid_times = torch.from_numpy(np.interp(wanted, share.numpy(), times.numpy()))
        grid_times[0], grid_times[-1] = clock.interval
        return grid_times

    return grid


def _relative(estimate: Tensor, state: Tensor) -> Tensor:
    return ((estimate - state).square().mean() / state.square().mean()).sqrt()


def _one(t: float) -> Tensor:
    return torch.tensor([t], dtype=torch.float64)
