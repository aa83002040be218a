"""What does not fit into the device's memory is tried smaller: the one place that does so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

import torch

Shape = TypeVar("Shape")
Result = TypeVar("Result")


def first_that_fits(
    attempt: Callable[[Shape], Result], shapes: Iterable[Shape]
) -> tuple[Result, Shape]:
    """What the first of ever smaller shapes gives that fits into memory, and that shape.

    Raises:
        torch.OutOfMemoryError: not even the last one fits.
    """
    waiting = iter(shapes)
    shape = next(waiting)
    while True:
        try:
            return attempt(shape), shape
        except torch.OutOfMemoryError:
            smaller = [*islice(waiting, 1)]
            if not smaller:
                raise
        # Here and not above: an exception that is being handled keeps its tensors alive.
        (shape,) = smaller


def halves(size: int) -> Iterator[int]:
    """``size``, its half and so on, rounded up, down to one sample."""
    yield size
    while size > 1:
        size = (size + 1) // 2
        yield size
