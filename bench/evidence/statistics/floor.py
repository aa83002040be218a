"""Whether a cell is at the floor: whether its samples can be told from exact or real ones at all.

The values of a cell, one a seed or block, are compared with values that exact (or real) samples
score in blocks of the same size. If the cell's samples were exact too, all of them would be
exchangeable, so that the sum of the cell's ranks among all follows a law that is counted, ties
included (Wilcoxon, 1945; Mann and Whitney, Annals of Mathematical Statistics 18, 1947). No form of
the distribution is assumed: discrepancies near zero are skewed.

What is asked is that of 100 cells of exact samples at least 95 are at the floor. A test at 5% gives
that in every other hundred only; the test here has the level 2%, with which a hundred has more than
five cells that are not with a probability of 1.5% (binomial). A floor is drawn once for many cells:
with few values its own luck is shared by all of them, so draw some hundreds where the law is known.

Values are exchangeable where they stem from different samples and met the same references: the law
itself, or each block of real samples as often on both sides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bench.metrics.declared import Direction

LEVEL = 0.02
"""Of the test: exact samples are at the floor with a probability of at least 0.98."""

COUNTED = 1_000
"""Product of both numbers of values up to which ranks are counted; beyond it their sum is taken as
normal, which errs towards the floor for a few values beside many."""


@dataclass(frozen=True)
class FloorTest:
    """Whether a cell is at the floor.

    Attributes:
        p: probability that samples as good as those of the floor score as far out, or farther.
        at_floor: whether that is more than the level.
        values, floor: numbers of values that were compared.
    """

    p: float
    at_floor: bool
    values: int
    floor: int


def at_floor(
    values: Sequence[float],
    floor: Sequence[float],
    direction: Direction,
    level: float = LEVEL,
) -> FloorTest:
    """Whether a cell cannot be told from exact or real samples.

    Args:
        values: of the cell, one a seed or block.
        floor: of exact or real samples, each in as many samples as a value of the cell.
        direction: of the metric: with ``lower`` only values above the floor are worse, with
            ``higher`` those below; None looks at both sides.
        level: of the test.

    Raises:
        ValueError: a value that is not finite, or so few that no cell could be told from anything.
    """
    seen, exact = np.asarray(values, dtype=float), np.asarray(floor, dtype=float)
    if not (np.isfinite(seen).all() and np.isfinite(exact).all()):
        raise ValueError("values of a cell and of the floor are finite")
    sides = 2 if direction is None else 1
    if len(seen) == 0 or sides / math.comb(len(seen) + len(exact), len(seen)) > level:
        raise ValueError(
            f"{len(seen)} values and {len(exact)} of the floor tell nothing apart at {level:g}; "
            f"{least_floor_values(len(seen), direction, level)} of the floor would"
        )
    above, below = _tail(seen, exact), _tail(-seen, -exact)
    p = {"lower": above, "higher": below, None: min(1.0, 2 * min(above, below))}[direction]
    return FloorTest(p, p > level, len(seen), len(exact))


def at_floor_by_all(tests: Sequence[FloorTest], level: float = LEVEL) -> bool:
    """Whether a cell is at the floor by every one of several metrics.

    Each has an equal part of the level (Bonferroni): exact samples pass with a probability of at
    least ``1 - level`` together, however the metrics depend on each other.
    """
    return all(test.p > level / len(tests) for test in tests)


def least_floor_values(values: int, direction: Direction, level: float = LEVEL) -> int:
    """Fewest values of a floor with which some cell of ``values`` values is not at it."""
    sides, needed = 2 if direction is None else 1, 1
    if values < 1:
        return needed
    while sides / math.comb(values + needed, values) > level:
        needed += 1
    return needed


def _tail(seen: np.ndarray, exact: np.ndarray) -> float:
    """Probability that as many of all values have ranks of a sum as high as ``seen`` has."""
    if len(seen) * len(exact) > COUNTED:
        return float(
            stats.mannwhitneyu(seen, exact, alternative="greater", method="asymptotic").pvalue
        )
    # Doubled ranks are whole numbers, also where values are equal.
    doubled = np.rint(2 * stats.rankdata(np.concatenate([seen, exact]))).astype(int)
    observed = int(doubled[: len(seen)].sum())
    highest = int(np.sort(doubled)[-len(seen) :].sum())
    # ways[j, s]: probability that j of the ranks looked at so far are chosen and have the sum s.
    ways = np.zeros((len(seen) + 1, highest + 1))
    ways[0, 0] = 1.0
    for place, rank in enumerate(doubled):
        left = len(doubled) - place
        chosen = np.clip((len(seen) - np.arange(len(seen) + 1)) / left, 0.0, 1.0)[:, None]
        taken = ways * chosen
        ways = ways - taken
        ways[1:, rank:] += taken[:-1, : highest + 1 - rank]
    return min(1.0, float(ways[len(seen), observed:].sum()))
