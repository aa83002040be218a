"""From noise to samples: which solver runs on which model, and how often the network was asked.

The state starts at ``sigma(T_NOISE)*z``; ``z`` has one stream a sample, keyed by seed and noise
bank, so that every formulation, solver and number of evaluations of a seed shares it. There is no
hidden final denoising: a sample is the state at the end of the path's interval.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.budget import counted
from bench.models import PathModel
from bench.paths import LevelPath, Path
from bench.solvers import consistency, exponential, flow_map, grids, ode
from bench.solvers.catalogue import Solver
from bench.streams import normal_per_sample, stream
from bench.tensors import expand


@dataclass(frozen=True)
class Request:
    """A solver with its cost: an exact number of evaluations, or a tolerance.

    Attributes:
        solver: its declaration.
        nfe: evaluations of the network, those of guidance included; None for adaptive solvers.
        tolerance: relative and absolute tolerance of adaptive solvers.
        grid: a name of ``bench.solvers.grids``; None for the solver's own.
    """

    solver: Solver
    nfe: int | None = None
    tolerance: float | None = None
    grid: str | None = None


@dataclass(frozen=True)
class Solution:
    """Samples and the evaluations they took, counted at the network.

    Attributes:
        end: samples ``[n, ...]``.
        nfe: evaluations a sample, mean over batches; nfe_min, nfe_max over batches.
    """

    end: Tensor
    nfe: float
    nfe_min: float
    nfe_max: float


def starting_noise(seed: int, bank: str, count: int, shape: Sequence[int]) -> Tensor:
    """Standard normal ``z [count, *shape]`` of a noise bank; sample i never depends on count."""
    return normal_per_sample(range(count), shape, seed, "bank", bank)


def starting_labels(seed: int, bank: str, count: int, label: Tensor) -> Tensor:
    """Classes ``[count]`` of a noise bank, drawn from ``label [n]``, those of the training data."""
    u = torch.rand(count, generator=stream(seed, "bank", bank, "label"))
    return label.cpu()[(u * len(label)).long()]


def solver_noise(seed: int, bank: str, count: int, shape: Sequence[int], interval: int) -> Tensor:
    """Noise that a stochastic solver adds in an interval, keyed by sample and interval."""
    return normal_per_sample(range(count), shape, seed, "solver", bank, interval)


@torch.no_grad()
def sample(
    model: PathModel,
    noise: Tensor,
    request: Request,
    batch_size: int,
    fresh: Callable[[int], Tensor] | None = None,
) -> Solution:
    """Solve for every sample of ``noise [n, ...]`` in batches.

    Args:
        model: evaluated in its own path's interval.
        noise: standard normal; the start is ``sigma(T_NOISE)`` times it.
        request: the solver and its cost.
        batch_size: samples solved together; part of the result for adaptive solvers.
        fresh: noise ``[n, ...]`` for the interval of an index; consistency sampling only.
    """
    ends, costs = [], []
    for low in range(0, len(noise), batch_size):
        part = slice(low, low + batch_size)
        z = noise[part]
        again = None if fresh is None else (lambda i, part=part: fresh(i)[part])
        with counted() as passes:
            ends.append(solve(model.part(part), model.path.start_scale() * z, request, again))
        costs.append((passes.forwards / len(z), len(z)))
    per_sample = [cost for cost, _ in costs]
    mean = sum(cost * size for cost, size in costs) / len(noise)
    return Solution(torch.cat(ends), mean, min(per_sample), max(per_sample))


def solve(
    model: PathModel,
    start: Tensor,
    request: Request,
    fresh: Callable[[int], Tensor] | None = None,
) -> Tensor:
    """End points ``[b, ...]`` of one batch from ``start``, inside a metered region."""
    solver, path = request.solver, model.path
    if solver.family == "adaptive":
        if request.tolerance is None:
            raise ValueError(f"{solver.name} needs a tolerance")
        return ode.solve_adaptive(
            model.velocity, start, path.interval, solver.name, request.tolerance
        )
    if request.nfe is None:
        raise ValueError(f"{solver.name} needs a number of evaluations")
    count = solver.intervals_for(request.nfe, model.evaluations)
    if solver.family == "consistency":
        if fresh is None:
            raise ValueError("consistency sampling needs fresh noise for its later evaluations")
        return _solve_consistency(model, start, count, fresh)
    grid = grids.GRIDS[request.grid or solver.grid](path, count)
    if solver.family == "fixed":
        return ode.solve_fixed(model.velocity, start, grid.to(start.device), solver.name)
    if solver.family == "flow_map":
        return flow_map.solve(model.leap, start, grid.to(start.device))
    return _solve_exponential(model, start, grid, solver.order or 1)


def _solve_exponential(model: PathModel, start: Tensor, grid: Tensor, order: int) -> Tensor:
    c = model.path.coefficients(grid)
    times = grid.to(start.device)

    def denoiser(x: Tensor, i: int) -> Tensor:
        return model.data(x, times[i].expand(len(x)))

    return exponential.solve(denoiser, start, c.alpha, c.sigma, order)


def _solve_consistency(
    model: PathModel, start: Tensor, count: int, fresh: Callable[[int], Tensor]
) -> Tensor:
    path = model.path
    if not isinstance(path, LevelPath):
        raise TypeError(f"consistency sampling needs noise levels, {type(path).__name__} has none")

    def function(x: Tensor, level: float) -> Tensor:
        levels = torch.full((len(x),), level, device=x.device)
        return model.predict(x, path.at_level(levels), "data")

    # The grid's last level is the smallest, where the function is the identity: not evaluated.
    levels = grids.karras_levels(path.sigma_min, path.sigma_max, count)[:-1].tolist()
    return consistency.solve(function, start, levels, path.sigma_min, fresh)


@dataclass(frozen=True)
class PathChange:
    """The probability flow of a model trained on one path, expressed on another (2303.00848).

    At equal ``rho = alpha/sigma`` the two states differ by a factor: ``x_B = s*x_A``. With
    ``t = rho_A^-1(rho_B(r))``, ``u_B(x, r) = (ds/dr/s)*x + s*(dt/dr)*u_A(x/s, t)``. It holds for
    any coupling, because it only re-labels states and times.

    Args:
        model: the model, on path A.
        path: path B.
    """

    model: PathModel
    path: Path

    @property
    def interval(self) -> tuple[float, float]:
        """Times of B whose log_snr lies in A's interval, and inside B's own."""
        ends = torch.tensor(self.model.path.interval, dtype=torch.float64)
        low, high = self.path.t_of_log_snr(self.model.path.log_snr(ends)).tolist()
        return max(low, self.path.interval[0]), min(high, self.path.interval[1])

    def start(self, state: Tensor) -> Tensor:
        """State on B that corresponds to ``state`` of A at the start of :attr:`interval`."""
        return expand(self._scale(self._first(len(state)))[0].to(state.dtype), state) * state

    def velocity(self, x: Tensor, r: Tensor) -> Tensor:
        """Velocity on B at ``x [b, ...]`` and B's time ``r [b]``."""
        s, d_log_s, t, dt = self._scale(r.double())
        s, d_log_s, dt = (value.to(x.dtype) for value in (s, d_log_s, dt))
        inner = self.model.velocity(x / expand(s, x), t)
        return expand(d_log_s, x) * x + expand(s * dt, x) * inner

    def _first(self, count: int) -> Tensor:
        return torch.full((count,), self.interval[0], dtype=torch.float64)

    def _scale(self, r: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """``s, d(log s)/dr, t, dt/dr`` at B's times ``r``, all in float64."""
        low, high = self.model.path.interval
        b = self.path.coefficients(r)
        t = self.model.path.t_of_log_snr(b.log_snr).clamp(low, high)
        a = self.model.path.coefficients(t)
        # Each half divides by the coefficient that is not small there.
        noisy = b.alpha < b.sigma
        s = torch.where(noisy, b.sigma / a.sigma, b.alpha / a.alpha)
        # d(rho)/dr over d(rho)/dt, with rho' = (alpha'*sigma - alpha*sigma')/sigma^2.
        dt = ((b.d_alpha * b.sigma - b.alpha * b.d_sigma) / b.sigma**2) / (
            (a.d_alpha * a.sigma - a.alpha * a.d_sigma) / a.sigma**2
        )
        d_log_s = torch.where(
            noisy,
            b.d_sigma / b.sigma - a.d_sigma * dt / a.sigma,
            b.d_alpha / b.alpha - a.d_alpha * dt / a.alpha,
        )
        return s, d_log_s, t, dt
