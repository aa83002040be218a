"""From noise to samples: which solver runs on which model, and how often the network was asked.

The state starts at ``sigma(T_NOISE)*z``; ``z`` has one stream a sample, keyed by seed and noise
bank, so that every formulation, solver and number of evaluations of a seed shares it. There is no
hidden final denoising: a sample is the state at the end of the path's interval.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor

from bench.acceleration import onto
from bench.budget import counted
from bench.models import PathModel
from bench.paths import Path
from bench.registry import module
from bench.solvers import flow_map, grids, ode
from bench.solvers.catalogue import Solver
from bench.solvers.grids import Grid
from bench.solvers.schedule import Denoiser, Point, Schedule
from bench.streams import normal_per_sample, stream
from bench.tensors import expand


class Flow(Protocol):
    """A probability flow on a path, as solvers of equations see one."""

    @property
    def path(self) -> Path:
        """Gives the interval that is solved over."""
        ...

    @property
    def evaluations(self) -> int:
        """Counted evaluations that one evaluation of the flow costs."""
        ...

    def part(self, samples: slice) -> Self:
        """The flow of some samples of a batch whose classes it was given."""
        ...

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        """Velocity at ``x [b, ...]``, ``t [b or 1]``."""
        ...

    def data(self, x: Tensor, t: Tensor) -> Tensor:
        """Estimate of the data at ``x [b, ...]``, ``t [b or 1]``."""
        ...


@dataclass(frozen=True)
class Request:
    """A solver with its cost: an exact number of evaluations, or a tolerance.

    Attributes:
        solver: its declaration.
        nfe: evaluations of the network, those of guidance included; None for adaptive solvers.
        tolerance: relative and absolute tolerance of adaptive solvers.
        grid: a name of ``bench.solvers.grids``, or a function like those, such as one that was
            made for a model; None for the solver's own.
    """

    solver: Solver
    nfe: int | None = None
    tolerance: float | None = None
    grid: str | Grid | None = None

    def times(self, path: Path, intervals: int) -> Tensor:
        """The grid's times ``[intervals + 1]`` on a path, float64."""
        grid = self.grid or self.solver.grid
        return (grids.GRIDS[grid] if isinstance(grid, str) else grid)(path, intervals)


@dataclass(frozen=True)
class Solution:
    """Samples and the evaluations they took, counted at the network.

    Attributes:
        end: samples ``[n, ...]``.
        nfe: evaluations a sample, mean over batches; nfe_min, nfe_max over batches.
        batch_size: most samples that were solved together in the end.
    """

    end: Tensor
    nfe: float
    nfe_min: float
    nfe_max: float
    batch_size: int

    def with_more(self, other: Solution) -> Solution:
        """These samples and others behind them."""
        ours, theirs = len(self.end), len(other.end)
        return Solution(
            torch.cat([self.end, other.end]),
            (self.nfe * ours + other.nfe * theirs) / (ours + theirs),
            min(self.nfe_min, other.nfe_min),
            max(self.nfe_max, other.nfe_max),
            min(self.batch_size, other.batch_size),
        )


def starting_noise(seed: int, bank: str, count: int, shape: Sequence[int]) -> Tensor:
    """Standard normal ``z [count, *shape]`` of a noise bank; sample i never depends on count."""
    return normal_per_sample(range(count), shape, seed, "bank", bank)


def starting_labels(seed: int, bank: str, count: int, label: Tensor) -> Tensor:
    """Classes ``[count]`` of a noise bank, drawn from ``label [n]``, those of the training data."""
    u = torch.rand(count, generator=stream(seed, "bank", bank, "label"))
    return label.cpu()[(u * len(label)).long()]


def solver_noise(
    seed: int, bank: str, samples: range, shape: Sequence[int], interval: int
) -> Tensor:
    """Noise that a stochastic solver adds in an interval, keyed by sample and interval."""
    return normal_per_sample(samples, shape, seed, "solver", bank, interval)


@torch.no_grad()
def sample(
    model: Flow,
    noise: Tensor,
    request: Request,
    batch_size: int,
    fresh: Callable[[int, slice], Tensor] | None = None,
) -> Solution:
    """Solve for every sample of ``noise [n, ...]`` in batches.

    A batch that does not fit into memory is halved, and so are those after it, where the cost is
    fixed: samples do not depend on the batch then. The steps of an adaptive solver do.

    Args:
        model: evaluated in its own path's interval.
        noise: standard normal; the start is ``sigma(T_NOISE)`` times it.
        request: the solver and its cost.
        batch_size: samples solved together; part of the result for adaptive solvers.
        fresh: noise of some of the samples for the interval of an index; stochastic solvers only.

    Raises:
        torch.OutOfMemoryError: not even one sample fits, or the solver is adaptive.
    """
    ends, costs, low = [], [], 0
    while low < len(noise):
        part = slice(low, low + batch_size)
        z = noise[part]
        again = None if fresh is None else (lambda i, part=part: fresh(i, part))
        try:
            with counted() as passes:
                end = solve(model.part(part), model.path.start_scale() * z, request, again)
        except torch.OutOfMemoryError:
            if request.nfe is None or len(z) == 1:
                raise
            batch_size = (len(z) + 1) // 2
            continue
        ends.append(end)
        costs.append((passes.forwards / len(z), len(z)))
        low += len(z)
    per_sample = [cost for cost, _ in costs]
    mean = sum(cost * size for cost, size in costs) / len(noise)
    return Solution(torch.cat(ends), mean, min(per_sample), max(per_sample), batch_size)


def solve(
    model: Flow,
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
    times = request.times(path, solver.intervals_for(request.nfe, model.evaluations))
    if solver.family == "fixed":
        return ode.solve_fixed(model.velocity, start, times, solver.name)
    if solver.family in ("flow_map", "consistency") and not isinstance(model, PathModel):
        raise TypeError(f"{solver.name} samples networks, not {type(model).__name__}")
    if solver.family == "flow_map":
        assert isinstance(model, PathModel)
        return flow_map.solve(model.leap, start, times.to(start.device))
    if solver.stochastic and fresh is None:
        raise ValueError(f"{solver.name} needs fresh noise")
    method = module("solvers", solver.module).METHODS[solver.name]
    noise = (fresh,) if solver.stochastic else ()
    end: Tensor = method(denoiser(model), start, Schedule.of(path, times), *noise)
    return end


def denoiser(model: Flow) -> Denoiser:
    """A model's estimate of the data, as the solvers of the diffusion literature ask for it."""

    def estimate(x: Tensor, point: Point) -> Tensor:
        return model.data(x, torch.tensor([point.t], dtype=torch.float64))

    return estimate


def common_log_snr(paths: Iterable[Path]) -> tuple[float, float]:
    """The range of log_snr that all paths are used in, cut to what grids in log_snr span.

    Raises:
        ValueError: there is none.
    """
    low, high = -grids.LOG_SNR_LIMIT, grids.LOG_SNR_LIMIT
    for path in paths:
        start, end = path.log_snr(torch.tensor(path.interval, dtype=torch.float64)).tolist()
        low, high = max(low, start), min(high, end)
    if not low < high:
        raise ValueError("the paths have no log_snr in common")
    return low, high


def cut_to(path: Path, log_snr: tuple[float, float]) -> Path:
    """The path, used only where its log_snr lies in a range."""
    low, high = path.log_snr(torch.tensor(path.interval, dtype=torch.float64)).tolist()
    first, last = path.t_of_log_snr(torch.tensor(log_snr, dtype=torch.float64)).tolist()
    return path.cut(
        start=first if log_snr[0] > low else None, end=last if log_snr[1] < high else None
    )


def _beside(values: Tensor, x: Tensor) -> Tensor:
    """``values [b or 1]``, which may be of the host, as factors of ``x [b, ...]``."""
    return expand(onto(values.to(x.dtype), x.device), x)


class PathChange:
    """The probability flow of a model trained on one path, expressed on another (2303.00848).

    At equal ``rho = alpha/sigma`` the two states differ by a factor: ``x_B = s*x_A``. With
    ``t = rho_A^-1(rho_B(r))``, ``u_B(x, r) = (ds/dr/s)*x + s*(dt/dr)*u_A(x/s, t)``. It holds for
    any coupling, because it only re-labels states and times. Solvers take it for a model on B:
    the start ``sigma_B*z`` is A's start, rescaled.

    Args:
        model: the model, on path A.
        path: path B.
        log_snr: range to which both are cut; by default the one that B shares with A.
    """

    def __init__(self, model: Flow, path: Path, log_snr: tuple[float, float] | None = None) -> None:
        ends = torch.tensor(model.path.interval, dtype=torch.float64)
        low, high = model.path.log_snr(ends).tolist()
        if log_snr is not None:
            low, high = max(low, log_snr[0]), min(high, log_snr[1])
        self.model = model
        self.path = cut_to(path, (low, high))

    @property
    def interval(self) -> tuple[float, float]:
        """Times of B whose log_snr lies in A's interval, and inside B's own."""
        return self.path.interval

    @property
    def evaluations(self) -> int:
        """Those of the model."""
        return self.model.evaluations

    def part(self, samples: slice) -> PathChange:
        """The same change of the model of some samples."""
        part = copy.copy(self)
        part.model = self.model.part(samples)
        return part

    def start(self, state: Tensor) -> Tensor:
        """State on B that corresponds to ``state`` of A at the start of :attr:`interval`."""
        first = torch.tensor([self.interval[0]], dtype=torch.float64)
        return float(self._scale(first)[0]) * state

    def data(self, x: Tensor, r: Tensor) -> Tensor:
        """Estimate of the data, which is the same on every path."""
        s, _, t, _ = self._scale(r.double())
        return self.model.data(x / _beside(s, x), t)

    def velocity(self, x: Tensor, r: Tensor) -> Tensor:
        """Velocity on B at ``x [b, ...]`` and B's time ``r [b or 1]``."""
        s, d_log_s, t, dt = self._scale(r.double())
        inner = self.model.velocity(x / _beside(s, x), t)
        return _beside(d_log_s, x) * x + _beside(s, x) * _beside(dt, x) * inner

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
