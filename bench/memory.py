"""Samples on a device that holds less than was asked of it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.sampling import Flow, Request, Solution, sample


def sample_what_fits(
    model: Flow,
    noise: Tensor,
    request: Request,
    batch_size: int,
    fresh: Callable[[int, slice], Tensor] | None = None,
) -> Solution:
    """:func:`bench.sampling.sample`, which an adaptive solver begins anew with half of the batch.

    At a fixed cost samples do not depend on the batch, and batches are halved on the way. The steps
    of an adaptive solver do: all its batches must be of one size. The solution says which.

    Raises:
        torch.OutOfMemoryError: not even one sample fits.
    """
    size = min(batch_size, len(noise))
    while True:
        try:
            found = sample(model, noise, request, batch_size, fresh)
        except torch.OutOfMemoryError:
            if request.nfe is not None or size == 1:
                raise
            batch_size = size = (size + 1) // 2
            continue
        return found


def smaller(what: str, asked: int, taken: int) -> str | None:
    """The note of a record whose batches did not fit; None where they did."""
    if taken >= asked:
        return None
    return f"out of memory: {what} of {taken} samples instead of {asked}"
