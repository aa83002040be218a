"""Leaps of a flow map along a grid, as mean flows, shortcut models and progressive students do."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Leap = Callable[[Tensor, Tensor, Tensor], Tensor]
"""State at ``t + ahead`` from ``x [b, ...]``, ``t [1]`` and ``ahead [1]``."""


def solve(leap: Leap, start: Tensor, grid: Tensor) -> Tensor:
    """End point ``[b, ...]`` after one leap for each interval of the times ``grid [n + 1]``."""
    x = start
    for now, ahead in zip(grid[:-1], grid.diff(), strict=True):
        x = leap(x, now[None], ahead[None])
    return x
