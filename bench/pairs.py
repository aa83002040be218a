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
"""Pairs solved together; the last chunk holds what the budget still buys."""


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
    made, total = 0, CHUNK
    while made < total:
        size = min(CHUNK, total - made)
        key = "pairs" if size == CHUNK else _partial(ledger, size)
        z = torch.randn(size, *shape, generator=stream(seed, "pairs", name, len(noise)))
        z = z.to(device)
        with ledger.timed("pairs"), ledger.step("pairs", key, samples=size):
            end = solve(model, model.path.start_scale() * z, request)
        noise.append(z)
        data.append(end)
        made += size
        total = int(units / ledger.unit_cost("pairs", unit) * CHUNK)
        if total < CHUNK:
            raise BudgetError(
                f"{units:.3g} {unit} buy {total} pairs, fewer than {CHUNK}: "
                "raise budget.amount or the share of the pairs"
            )
        report(made, total)
    return torch.cat(noise), torch.cat(data)


def _partial(ledger: Ledger, size: int) -> str:
    """Key of a last chunk of ``size`` pairs, priced as its part of a whole one."""
    key = f"{size} pairs"
    if "pairs" in ledger.seconds_per_step:
        ledger.seconds_per_step[key] = ledger.seconds_per_step["pairs"] * size / CHUNK
    return key
