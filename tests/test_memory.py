"""What does not fit into memory is tried smaller."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch

from bench.memory import first_that_fits, halves


def test_halves_end_with_one_sample() -> None:
    assert [list(halves(size)) for size in (1, 2, 10)] == [[1], [2, 1], [10, 5, 3, 2, 1]]


@pytest.mark.parametrize(("fits", "tried"), [(10, [10]), (4, [10, 5, 3]), (1, [10, 5, 3, 2, 1])])
def test_the_first_that_fits_is_taken(fits: int, tried: list[int]) -> None:
    sizes: list[int] = []

    def attempt(size: int) -> str:
        sizes.append(size)
        if size > fits:
            raise torch.OutOfMemoryError("out of memory")
        return "done"

    assert first_that_fits(attempt, halves(10)) == ("done", tried[-1])
    assert sizes == tried


def test_nothing_that_fits_is_a_failure_and_other_errors_pass() -> None:
    errors = iter([torch.OutOfMemoryError("one"), torch.OutOfMemoryError("two"), ValueError("bug")])

    def attempt(size: int) -> None:
        raise next(errors)

    with pytest.raises(torch.OutOfMemoryError, match="two"):
        first_that_fits(attempt, (2, 1))
    with pytest.raises(ValueError, match="bug"):
        first_that_fits(attempt, (2, 1))


def test_what_did_not_fit_is_free_when_the_next_is_tried() -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def attempt(size: int) -> bool:
        if not held:
            activations = torch.zeros(size)
            held.append(weakref.ref(activations))
            raise torch.OutOfMemoryError("out of memory")
        gc.collect()
        return held[0]() is None

    assert first_that_fits(attempt, halves(8)) == (True, 4)
