"""What a solver costs beside the network: a solve against as many bare forwards of the network.

Run from the repository's root, on a machine that does nothing else:

    OMP_NUM_THREADS=1 .venv/bin/python tests/benchmarks/solver_overhead.py

Solves of 16 evaluations (15 where a solver cannot spend 16) take turns with as many calls of the
bare network on its own inputs, so that both see the same machine in the same state. Printed are
the median of the ratio and its quartiles, for the two networks of the default experiment at batches
of 256 and 2048 and a small U-Net on one thread of the CPU, or for a wide network on the GPU where
there is one. The
ratio holds all that is not the network: the solver, the path's coefficients and the change from the
network's output to velocity or data.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import quantiles
from typing import Any

import torch
from torch import Tensor

from bench.errors import RefusedNfeError
from bench.formulations.grammar import path
from bench.models.meter import counted
from bench.models.path_model import PathModel, build_network
from bench.sampling.sample import Request, solve
from bench.sampling.solvers.catalogue import SOLVERS, Solver

NFE = (16, 15)
REPEATS = 31


def evaluations_of(solver: Solver) -> int:
    """The first of :data:`NFE` that a solver can spend."""
    for nfe in NFE:
        try:
            solver.intervals_for(nfe)
        except RefusedNfeError:
            continue
        return nfe
    raise ValueError(f"{solver.name} spends none of {NFE}")


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Wall seconds of ``work``, the device synchronised at both ends."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


UNET = {
    "channels": 16,
    "multipliers": (1, 2, 4),
    "blocks": 1,
    "attention": (7,),
    "head": 32,
    "embedding": 128,
}
"""Of 0.76M parameters, for images of 14x14."""


def mlp(width: int) -> dict[str, Any]:
    """Options of a multilayer perceptron."""
    return {"width": width, "depth": 3}


def measure(
    kind: str, options: dict[str, Any], shape: tuple[int, ...], batch: int, device: torch.device
) -> None:
    """Print one line a solver of fixed cost."""
    network = build_network(kind, shape, options, 0).to(device)
    model = PathModel(network, path("vp").build(), "noise", 0.7)
    z = torch.randn(batch, *shape, generator=torch.Generator().manual_seed(0)).to(device)
    told = torch.zeros(batch, 1, device=device)
    size = sum(parameter.numel() for parameter in network.parameters())
    print(f"{kind}, {size:,} parameters, {shape}, batch {batch}, {device.type}")
    for solver in SOLVERS.values():
        if solver.family not in ("fixed", "exponential", "stochastic"):
            continue
        nfe = evaluations_of(solver)
        ratios = compare(model, z, told, Request(solver, nfe), nfe)
        low, middle, high = quantiles(ratios, n=4)
        print(f"  {solver.name:16} {nfe} evaluations: {middle:.3f} ({low:.3f} to {high:.3f})")


def compare(
    model: PathModel,
    z: Tensor,
    told: Tensor,
    request: Request,
    nfe: int,
    repeats: int = REPEATS,
    fresh: Callable[[int], Tensor] | None = None,
) -> list[float]:
    """Wall seconds of solves over those of bare forwards, in turns; two of each to warm up.

    Args:
        model: whose network is called.
        z, told: inputs of the network; solves start at ``z``.
        request: the solver.
        nfe: its evaluations.
        repeats: ratios to take.
        fresh: noise of an interval for stochastic solvers; none is drawn unless given.
    """

    def bare() -> None:
        for _ in range(nfe):
            model.network(z, told, None)

    def solved() -> None:
        solve(model, z, request, fresh or (lambda i: z))

    found = []
    with counted(), torch.no_grad():
        for repeat in range(-2, repeats):
            ratio = seconds(solved, z.device) / seconds(bare, z.device)
            if repeat >= 0:
                found.append(ratio)
    return found


def main() -> None:
    """Measure on the GPU, or else on one thread of the CPU."""
    if torch.cuda.is_available():
        measure("residual_mlp", mlp(4096), (3, 32, 32), 2048, torch.device("cuda"))
        return
    torch.set_num_threads(1)
    for shape, width in (((2,), 128), ((1, 8, 8), 256)):
        for batch in (256, 2048):
            measure("residual_mlp", mlp(width), shape, batch, torch.device("cpu"))
    measure("unet", UNET, (1, 14, 14), 64, torch.device("cpu"))


if __name__ == "__main__":
    main()
