"""How straight a model's trajectories are: three figures, because they disagree.

All are taken from one fine solve of the probability flow, on the model's own path or, after a
change of path, on the linear one. ``Z_0`` and ``Z_1`` are a trajectory's ends, ``u`` is time
rescaled to [0, 1] over the interval:

* ``straightness_native``: ``int E|Z_1 - Z_0 - dZ/du|^2 du / E|Z_1 - Z_0|^2`` (Liu et al., 2022,
  2209.03003, equation 6, made free of scale), on the model's own path in its own time;
* ``straightness_linear``: the same after the change to the linear path: near equal for exact
  fields whatever the path;
* ``arc_over_chord``: ``E[length of the trajectory] / E|Z_1 - Z_0|``, free of any change of time.

Zero, zero and one are straight.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.models.meter import counted
from bench.models.path_model import PathModel
from bench.models.paths.linear import Linear
from bench.sampling.path_change import PathChange
from bench.sampling.solvers import ode

METHOD = "midpoint"
INTERVALS = 64

LOG_SNR_LIMIT = 20.0
"""A change of path stays inside +-20: pure noise and pure data have no scale to compare."""


@dataclass(frozen=True)
class Trajectories:
    """A fine solve.

    Attributes:
        times: ``[n + 1]``.
        states: ``[n + 1, b, ...]``.
        straightness, arc_over_chord: see the module's docstring.
    """

    times: Tensor
    states: Tensor
    straightness: float
    arc_over_chord: float


def _trace(field: ode.Field, start: Tensor, interval: tuple[float, float]) -> Trajectories:
    times = torch.linspace(*interval, INTERVALS + 1, dtype=torch.float64, device=start.device)
    states = ode.solve_dense(field, start, times, METHOD)
    chord = states[-1] - states[0]
    span = interval[1] - interval[0]
    deviation = torch.stack(
        [
            (chord - span * field(state, time[None])).flatten(1).square().sum(1).mean()
            for time, state in zip(times, states, strict=True)
        ]
    )
    distance = chord.flatten(1)
    arc = states.diff(dim=0).flatten(2).norm(dim=2).sum(0)
    return Trajectories(
        times=times,
        states=states,
        straightness=float(
            torch.trapezoid(deviation, dx=1 / INTERVALS) / distance.square().sum(1).mean()
        ),
        arc_over_chord=float(arc.mean() / distance.norm(dim=1).mean()),
    )


@torch.no_grad()
def native(model: PathModel, noise: Tensor) -> Trajectories:
    """Trajectories on the model's own path from ``noise [b, ...]``."""
    with counted():
        return _trace(model.velocity, model.path.start_scale() * noise, model.path.interval)


@torch.no_grad()
def on_linear_path(model: PathModel, noise: Tensor) -> Trajectories:
    """Trajectories of the same flow after the change to the linear path, if it needs one."""
    if isinstance(model.path, Linear) and model.path.sigma_min == 0:
        return native(model, noise)
    change = PathChange(model, Linear(), (-LOG_SNR_LIMIT, LOG_SNR_LIMIT))
    with counted():
        start = change.start(model.path.start_scale() * noise)
        return _trace(change.velocity, start, change.interval)
