"""Log density of data under the probability flow of a model: a continuous normalizing flow.

The flow carries the density along (Chen et al., 2018, 1806.07366, the instantaneous change of
variables; Grathwohl et al., 2018, 1810.01367)::

    dx/dt = v(x, t),    d log p(x(t), t)/dt = -tr dv/dx

so one solve from the data end of the path's interval to its noise end gives

    log p_end(x) = log N(x(start); 0, sigma(start)^2 I) - integral of tr dv/dx over the interval

with the base density of the law that sampling starts from. Only the velocity is read, never a
score, so it holds for every coupling.

Which law it is. A path may end short of the data, at coefficients (alpha, sigma). Samples of a
model are its states there, with no denoising, and so is the law: data are taken as such states in
the scale of the data, ``log p(x) = log p_end(alpha*x) + d*log(alpha)``. Of an exact field that is
the law of the data widened by noise of the standard deviation ``sigma/alpha``. The start is cut
too: what the exact marginal there differs from ``N(0, sigma^2 I)`` by, sampling does as well.

The trace is a sum of vector-Jacobian products, each a backward pass of the network. All ``d`` of
them make it exact; where ``d`` is large, Hutchinson's estimator averages ``e^T (dv/dx) e`` over
probes ``e`` of random signs, the same over the whole solve, which leaves ``log p`` unbiased. The
solve is dopri5 through :mod:`bench.sampling.solvers.ode`, with states and times in float64 and the
network in its own precision. Its error norm spans states and log densities of a batch: its
evaluations are a property of the batch size.

Images of ``L`` grey levels have a probability, not a density. Uniform dequantisation (Theis et al.,
2015, 1511.01844) spreads level k over its cell in the scale of the model,
``(2k - 1 + 2u)/(L - 1) - 1`` with u uniform on [0, 1): cells of the width 2/(L - 1) with the level
in the middle. Then ``E_u log p(x + cell) + log(cell)`` is a lower bound on the log probability, and
bits per dimension an upper bound; the law that is uniform on the cells has log2(L). Models are
trained on the levels themselves, as the literature does with its 256 levels, and so gather their
density onto them more narrowly than a cell. With the 17 wide cells of the digits this counts: flow
matching of the default experiment has 2.8 bits per dimension, and would have 2.1 if it were judged
at the levels alone, which is no probability.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.data.dataset import DataSet
from bench.models.meter import counted
from bench.sampling.sample import Flow
from bench.sampling.solvers import ode
from bench.streams import Key, normal_per_sample, stream

SOLVER = "dopri5"


@dataclass(frozen=True)
class Likelihood:
    """Log densities of some data under one model.

    Attributes:
        log_density: ``[n]`` float64, in nats, with respect to the scale of the data.
        probe_se: standard error of each that is due to the probes, ``[n]``; zero of exact traces.
        nfe: velocity evaluations along the solve, mean over samples, counted at the network;
            nfe_min, nfe_max over batches. The vector-Jacobian products of the trace are backward
            passes, which the meter counts apart.
        backwards: those of a sample, mean over samples.
    """

    log_density: Tensor
    probe_se: Tensor
    nfe: float
    nfe_min: float
    nfe_max: float
    backwards: float


def rademacher(count: int, probes: int, shape: Sequence[int], *key: Key) -> Tensor:
    """Random signs ``[count, probes, *shape]``, one stream a sample, float32."""
    normal = normal_per_sample(range(count), (probes, *shape), *key)
    return torch.where(normal < 0, -1.0, 1.0)


def log_likelihood(
    model: Flow, data: Tensor, *, tolerance: float, batch_size: int, probes: Tensor | None = None
) -> Likelihood:
    """Log density of ``data`` under the probability flow of ``model``.

    Args:
        model: asked for its velocity, in the interval of its path; samples must not see each other
            (no normalisation over the batch).
        data: ``[n, ...]``, in the precision and on the device that the model is evaluated in.
        tolerance: relative and absolute tolerance of the solve.
        batch_size: samples solved together.
        probes: random signs ``[n, p, ...]`` with p > 1; None for an exact trace.
    """
    parts, costs, backwards = [], [], 0
    for low in range(0, len(data), batch_size):
        part = slice(low, low + batch_size)
        signs = None if probes is None else probes[part].to(data)
        with counted() as passes:
            parts.append(_solve(model.part(part), data[part], signs, tolerance))
        costs += [passes.forwards / len(data[part])] * len(data[part])
        backwards += passes.backwards
    log_densities = torch.cat(parts)
    several = log_densities.shape[1] > 1
    error = (
        log_densities.std(dim=1) / log_densities.shape[1] ** 0.5
        if several
        else torch.zeros_like(log_densities[:, 0])
    )
    return Likelihood(
        log_density=log_densities.mean(dim=1),
        probe_se=error,
        nfe=sum(costs) / len(data),
        nfe_min=min(costs),
        nfe_max=max(costs),
        backwards=backwards / len(data),
    )


def _solve(model: Flow, data: Tensor, signs: Tensor | None, tolerance: float) -> Tensor:
    """Log densities ``[b, p]``, one column a probe, or a single exact one."""
    path, dimension = model.path, data[0].numel()
    start, end = path.interval
    alpha = float(path.coefficients(torch.tensor([end], dtype=torch.float64)).alpha)
    if signs is None:
        directions = torch.eye(dimension).to(data).reshape(dimension, 1, *data.shape[1:])
    else:
        directions = signs.transpose(0, 1)

    def towards_noise(state: Tensor, elapsed: Tensor) -> Tensor:
        """Derivatives of state and integral by the time since the data end."""
        t = (end - elapsed + start).clamp(start, end)
        x = state[:, :dimension].to(data.dtype).reshape(data.shape)
        velocity, products = _along(model, x, t, directions)
        trace = products.sum(dim=1, keepdim=True) if signs is None else products
        return torch.cat([-velocity.flatten(1), trace], dim=1).double()

    columns = 1 if signs is None else len(directions)
    begin = torch.cat([alpha * data.flatten(1), data.new_zeros(len(data), columns)], dim=1)
    solved = ode.solve_adaptive(towards_noise, begin.double(), (start, end), SOLVER, tolerance)
    noise, integral = solved[:, :dimension], solved[:, dimension:]
    scale = path.start_scale()
    normal = -(noise / scale).square().sum(dim=1, keepdim=True) / 2
    volume = dimension * (math.log(alpha) - math.log(scale * math.sqrt(2 * math.pi)))
    return normal + volume - integral


def _along(model: Flow, x: Tensor, t: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Velocity ``[b, ...]`` and ``e^T (dv/dx) e`` for each direction e, ``[b, p]``.

    Args:
        model, x, t: where the velocity is taken.
        directions: ``[p, b or 1, ...]``.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        velocity = model.velocity(x, t)
    products = []
    for left, e in zip(range(len(directions) - 1, -1, -1), directions, strict=True):
        (pulled,) = torch.autograd.grad(velocity, x, e.expand_as(velocity), retain_graph=left > 0)
        products.append((pulled * e).flatten(1).sum(dim=1))
    return velocity.detach(), torch.stack(products, dim=1)


def dequantised(dataset: DataSet, samples: Tensor, *key: Key) -> Tensor:
    """Images of grey levels, each value anywhere in the cell of its level, uniformly.

    Args:
        dataset: has levels.
        samples: ``[n, ...]``, on the levels, in the scale of the model.
        key: of the stream that the places are drawn from.
    """
    places = torch.rand(samples.shape, generator=stream(*key))
    return samples + (places.to(samples) - 0.5) * _cell(dataset)


def bits_per_dimension(dataset: DataSet, log_density: Tensor) -> Tensor:
    """``-log2 p`` a dimension of dequantised images, from their log densities ``[n]`` in nats.

    A density in the scale of the model becomes the probability of a cell times its width, so that
    the law that is uniform on all cells has ``log2(levels)``.
    """
    return -log_density / (math.prod(dataset.shape) * math.log(2)) - math.log2(_cell(dataset))


def _cell(dataset: DataSet) -> float:
    """Width of a grey level in the scale of the model."""
    assert dataset.levels is not None, f"{dataset.name} is continuous: it has no levels"
    return 2 / (dataset.levels - 1)
