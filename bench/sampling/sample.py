"""From noise to samples: which solver runs on which model, and how often the network was asked.

The state starts at ``sigma(T_NOISE)*z``; ``z`` has one stream a sample, keyed by seed and noise
bank, so that every formulation, solver and number of evaluations of a seed shares it. There is no
hidden final denoising: a sample is the state at the end of the path's interval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, Self

import torch
from torch import Tensor

from bench.memory import first_that_fits, halves
from bench.models.meter import counted
from bench.models.path_model import PathModel
from bench.models.paths import Path
from bench.registry import module
from bench.sampling.solvers import flow_map, grids, ode
from bench.sampling.solvers.catalogue import Solver
from bench.sampling.solvers.grids import Grid
from bench.sampling.solvers.schedule import Denoiser, Point, Schedule


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
        grid: a name of ``bench.sampling.solvers.grids``, or a function like those, such as one
            that was made for a model; None for the solver's own.
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
        batch = min(batch_size, len(noise) - low)

        def solved(size: int, low: int = low) -> tuple[Tensor, float]:
            part = slice(low, low + size)
            again = None if fresh is None else (lambda i: fresh(i, part))
            with counted() as passes:
                start = model.path.start_scale() * noise[part]
                end = solve(model.part(part), start, request, again)
            return end, passes.forwards / size

        sizes = (batch,) if request.nfe is None else halves(batch)
        (end, cost), size = first_that_fits(solved, sizes)
        if size < batch:
            batch_size = size
        ends.append(end)
        costs.append((cost, size))
        low += size
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


def sample_what_fits(
    model: Flow,
    noise: Tensor,
    request: Request,
    batch_size: int,
    fresh: Callable[[int, slice], Tensor] | None = None,
) -> Solution:
    """:func:`sample`, which an adaptive solver begins anew with half of the batch.

    At a fixed cost samples do not depend on the batch, and batches are halved on the way. The steps
    of an adaptive solver do: all its batches must be of one size. The solution says which.

    Raises:
        torch.OutOfMemoryError: not even one sample fits.
    """
    sizes: Iterable[int] = (batch_size,)
    if request.nfe is None:
        sizes = (batch_size, *islice(halves(min(batch_size, len(noise))), 1, None))
    return first_that_fits(lambda size: sample(model, noise, request, size, fresh), sizes)[0]


def smaller(what: str, asked: int, taken: int) -> str | None:
    """The note of a record whose batches did not fit; None where they did."""
    if taken >= asked:
        return None
    return f"out of memory: {what} of {taken} samples instead of {asked}"
