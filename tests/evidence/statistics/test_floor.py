"""At the floor: the counted law of ranks, and how often exact samples are said to be there."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from bench.data.sources import mixture2d
from bench.evidence.statistics import floor
from bench.evidence.statistics.floor import (
    LEVEL,
    at_floor,
    at_floor_by_all,
    least_floor_values,
)
from bench.metrics.declared import Direction
from bench.metrics.detection import DETECTORS, Judge, Samples, Values
from bench.metrics.planted import Draw, between, missing, none
from bench.streams import stream

BLOCK = 597


def uniform(count: int, *key: str | int) -> np.ndarray:
    return torch.rand(count, generator=stream("floor", *key), dtype=torch.float64).numpy()


@pytest.mark.parametrize(("values", "floor_values"), [(1, 30), (5, 20), (12, 9)])
def test_without_ties_p_is_that_of_the_rank_sum_test(values: int, floor_values: int) -> None:
    seen, exact = uniform(values, "seen") + 0.2, uniform(floor_values, "exact")
    for direction, alternative in (("lower", "greater"), ("higher", "less")):
        expected = stats.mannwhitneyu(seen, exact, alternative=alternative, method="exact").pvalue
        assert at_floor(seen, exact, direction, level=0.5).p == pytest.approx(expected, rel=1e-9)


def test_ties_are_counted() -> None:
    """Of the ten pairs of five values two have a rank sum of 3.5 + 5, and none a higher one."""
    assert at_floor([1.0, 2.0], [0.0, 0.0, 1.0], "lower", level=0.2).p == pytest.approx(2 / 10)


@pytest.mark.parametrize("direction", ["lower", "higher", None])
def test_exact_values_are_at_the_floor_as_often_as_the_level_says(direction: Direction) -> None:
    """Skewed values, each cell with a floor of its own: 1,000 draws, within three errors."""
    passed = sum(
        at_floor(uniform(5, "a", i) ** 4, uniform(40, "b", i) ** 4, direction).at_floor
        for i in range(1000)
    )
    assert abs(passed / 1000 - (1 - LEVEL)) < 3 * math.sqrt(LEVEL * (1 - LEVEL) / 1000)


def test_many_values_are_compared_by_the_normal_law(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, exact = uniform(10, "many") + 0.2, uniform(90, "many exact")
    counted = at_floor(seen, exact, "lower").p
    monkeypatch.setattr(floor, "COUNTED", 0)
    assert at_floor(seen, exact, "lower").p == pytest.approx(counted, abs=5e-3)


def test_samples_of_the_law_are_at_the_floor_and_faulty_ones_are_not() -> None:
    """Five blocks a cell on the ring, by a pair of metrics: 95 of 100 cells of exact samples."""
    law = mixture2d.mixture(mixture2d.Options())
    judge = Judge(law)

    def blocks(count: int, draw: Draw, key: str) -> list[Values]:
        x = draw(law, count * BLOCK, stream("cells", key))
        seen = [Samples(judge, part, part, [BLOCK]) for part in x.split(BLOCK)]
        pair = (DETECTORS[name].values for name in ("mode_chi2", "excess_nll"))
        return [np.array([values(one)[0] for one in seen]) for values in pair]

    occupancy, density = blocks(400, none, "floor")

    def is_at_floor(cell: list[Values]) -> bool:
        tests = [at_floor(cell[0], occupancy, "lower"), at_floor(cell[1], density, None)]
        return at_floor_by_all(tests)

    exact = blocks(500, none, "exact")
    cells = [is_at_floor([values[i : i + 5] for values in exact]) for i in range(0, 500, 5)]
    assert sum(cells) >= 95
    for fault in (between, missing):
        assert not is_at_floor(blocks(5, fault, fault.__name__))


def test_too_few_values_are_refused() -> None:
    assert least_floor_values(1, "lower") == 49
    assert least_floor_values(1, None) == 99
    assert least_floor_values(5, "lower") == 3
    with pytest.raises(ValueError, match="1 values and 48 of the floor tell nothing apart"):
        at_floor([1.0], uniform(48, "few"), "lower")
    assert not at_floor([2.0], uniform(49, "few"), "lower").at_floor
    with pytest.raises(ValueError, match="finite"):
        at_floor([math.nan], uniform(30, "nan"), "lower")
