"""The order at which solves converge, from their errors; torch-free."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

ROUNDING = 2e-13
"""Errors below it may be those of float64 and of the reference, not of the solver."""


class Solve(Protocol):
    """A solve with an error, on a grid of so many intervals."""

    @property
    def intervals(self) -> float:
        """Intervals of the grid."""
        ...

    @property
    def error(self) -> float:
        """Distance of the end, or of its law, to the true one."""
        ...


def order(runs: Sequence[Solve]) -> float:
    """Slope of log error over log intervals between the two finest runs above rounding.

    nan where there are fewer than two. Runs come in the order of their intervals.
    """
    sound = [run for run in runs if run.error > ROUNDING]
    if len(sound) < 2:
        return math.nan
    coarse, fine = sound[-2:]
    fall = math.log(coarse.error) - math.log(fine.error)
    return fall / (math.log(fine.intervals) - math.log(coarse.intervals))
