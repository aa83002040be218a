"""Pairs for reflow: the ends of a model's own probability flow (2209.03003, section 2.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bench.budget import Ledger
from bench.errors import BudgetError
from bench.models import PathModel
from bench.sampling import Request, solve
from bench.streams import stream

CHUNK = 512
"""Pairs solved together; as many whole chunks are made as the budget buys."""


@torch.no_grad()
def generate(
    model: PathModel,
    shape: Sequence[int],
    request: Request,
    ledger: Ledger,
    units: float,
    unit: str,
    seed: int,
    name: str,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Tensor, Tensor]:
    """Noise and data ``[n, ...]`` of as many pairs as ``units`` buy.

    The noise is keyed by seed, ``name`` and chunk: it is neither training nor sampling noise.

    Raises:
        BudgetError: the budget does not buy one chunk.
    """
    device = next(model.network.parameters()).device
    noise: list[Tensor] = []
    data: list[Tensor] = []
    total = 1
    while len(noise) < total:
        generator = stream(seed, "pairs", name, len(noise))
        z = torch.randn(CHUNK, *shape, generator=generator).to(device)
        with ledger.timed("pairs"), ledger.step("pairs", "pairs", samples=CHUNK):
            end = solve(model, model.path.start_scale() * z, request)
        noise.append(z)
        data.append(end)
        total = int(units / ledger.unit_cost("pairs", unit))
        if total < 1:
            raise BudgetError(
                f"{units:.3g} {unit} do not buy {CHUNK} pairs at "
                f"{ledger.unit_cost('pairs', unit):.3g}: raise budget.amount or the pairs' share"
            )
        report(len(noise) * CHUNK, total * CHUNK)
    return torch.cat(noise), torch.cat(data)
