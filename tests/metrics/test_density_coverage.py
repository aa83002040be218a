"""Density and coverage: their expectations under equal laws, and single balls counted by hand."""

from __future__ import annotations

import math

import pytest
import torch

from bench.metrics.measures.density_coverage import NEIGHBOURS, density_and_coverage, radii
from bench.streams import stream


def measured(samples: torch.Tensor, real: torch.Tensor) -> tuple[float, float]:
    return density_and_coverage(samples, real, radii(real))


def test_expectations_under_equal_laws() -> None:
    """They hold for any law: density one, coverage by counting ranks."""
    generator = stream("law")
    n, m = 150, 200
    found = torch.tensor(
        [
            measured(torch.randn(n, 3, generator=generator), torch.randn(m, 3, generator=generator))
            for _ in range(60)
        ]
    )
    missed = math.prod((m - i) / (n + m - i) for i in range(1, NEIGHBOURS + 1))
    density, coverage = found.mean(dim=0).tolist()
    assert density == pytest.approx(1, abs=0.02)
    assert coverage == pytest.approx(1 - missed, abs=0.005)


def test_radii_are_those_of_the_fifth_neighbour() -> None:
    line = torch.arange(20.0)[:, None] ** 2
    apart = (line - line.T).abs().sort(dim=1).values[:, NEIGHBOURS]
    torch.testing.assert_close(radii(line), apart)


def test_counted_by_hand() -> None:
    real = torch.arange(6.0)[:, None]  # radii 5, 4, 3, 3, 4, 5
    density, coverage = measured(torch.tensor([[0.5], [100.0]]), real)
    # 0.5 lies in the balls of 0, 1, 2, 3, 4 and 5; 100 lies in none.
    assert density == 6 / (NEIGHBOURS * 2)
    assert coverage == 1
    assert measured(torch.tensor([[100.0]]), real) == (0, 0)


def test_an_outlier_among_the_real_ones_buys_little() -> None:
    """One far real point has a huge ball: what only it holds is of full precision, not density."""
    generator = stream("outlier")
    real = torch.randn(100, 2, generator=generator)
    real[0] = 50.0
    far = 30 + torch.randn(100, 2, generator=generator)
    density, coverage = measured(far, real)
    assert density == pytest.approx(1 / NEIGHBOURS)
    assert coverage == 1 / 100
