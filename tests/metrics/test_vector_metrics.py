"""Wasserstein-2, negative log-likelihood and end-point error against independent computations."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from bench.data.dataset import DataSet
from bench.metrics.context import Context, References, Settings
from bench.metrics.measures import endpoint_rmse, sample_nll, wasserstein
from bench.streams import stream

SETTINGS = Settings(block=200, kid_subsets=1, kid_subset_size=100, neighbours=3)


def points(count: int, key: str) -> torch.Tensor:
    return torch.randn(count, 2, generator=stream(key))


def test_w2_is_zero_between_a_set_and_its_permutation() -> None:
    a = points(150, "a")
    assert wasserstein.distance(a, a.flip(0)) == 0


def test_w2_of_a_translation_is_its_length() -> None:
    a = points(150, "a")
    assert wasserstein.distance(a, a + torch.tensor([3.0, 4.0])) == pytest.approx(5, rel=1e-6)


def test_w2_equals_the_best_assignment() -> None:
    a, b = points(150, "a"), 2 * points(150, "b")
    squared = cdist(a.double(), b.double(), "sqeuclidean")
    rows, columns = linear_sum_assignment(squared)
    expected = math.sqrt(squared[rows, columns].mean())
    assert wasserstein.distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_w2_meets_a_fresh_held_out_block_in_every_block(
    real_data: Callable[[str], DataSet],
) -> None:
    dataset = real_data("mixture2d")
    context = Context(dataset.held_out[200:600], References(dataset, SETTINGS))
    (measured,) = wasserstein.compute(context)
    first = wasserstein.distance(dataset.held_out[200:400], dataset.held_out[:200])
    second = wasserstein.distance(dataset.held_out[400:600], dataset.held_out[200:400])
    assert measured.value == pytest.approx((first + second) / 2)
    assert measured.value_se == pytest.approx(abs(first - second) / 2)
    assert measured.n_reference == 200


def test_sample_nll_equals_a_density_summed_by_hand(real_data: Callable[[str], DataSet]) -> None:
    dataset = real_data("mixture2d")
    samples = 0.9 * dataset.held_out[:200]
    (measured,) = sample_nll.compute(Context(samples, References(dataset, SETTINGS)))
    angles = 2 * np.pi * np.arange(8) / 8
    centres = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    squared = cdist(samples.double().numpy(), centres, "sqeuclidean")
    weights = np.where(np.arange(8) % 2, 2, 1) / 12
    density = (weights * np.exp(-squared / (2 * 0.01)) / (2 * np.pi * 0.01)).sum(axis=1)
    assert measured.value == pytest.approx(-np.log(density).mean(), rel=1e-6)
    assert measured.value_se == pytest.approx(np.log(density).std(ddof=1) / 200**0.5, rel=1e-6)


def test_endpoint_rmse_of_a_known_deviation(real_data: Callable[[str], DataSet]) -> None:
    dataset = real_data("mixture2d")
    fine = dataset.train[:100]
    ends = dataset.train[:200].clone()
    ends[:50, 0] += 2.0  # a quarter of the coordinates is off by 2: rmse 1
    context = Context(ends, References(dataset, SETTINGS), reference_end=fine)
    (measured,) = endpoint_rmse.compute(context)
    assert measured.value == pytest.approx(1, rel=1e-6)
    # Squared errors are 2 or 0, half each: their mean has error 1/10, the root half of that.
    assert measured.value_se == pytest.approx(1 / 20, rel=0.01)
    assert measured.n_reference == 100


def test_endpoint_rmse_of_the_fine_solve_itself_is_zero(
    real_data: Callable[[str], DataSet],
) -> None:
    dataset = real_data("mixture2d")
    ends = dataset.train[:200]
    (measured,) = endpoint_rmse.compute(Context(ends, References(dataset, SETTINGS), ends))
    assert (measured.value, measured.value_se) == (0, 0)
