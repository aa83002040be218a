"""The jackknife of a Frechet distance against truth, simulation and a bootstrap that fails."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import linalg

from bench.metrics.gaussian_fits import Moments, distances, moments, numpy_moments
from bench.metrics.jackknife import frechet_jackknife
from bench.metrics.measures import frechet

DIMENSION, SAMPLES, BLOCKS, SHIFT = 8, 200, 20, 0.5
REFERENCE = Moments(10**6, np.zeros(DIMENSION), (10**6 - 1) * np.eye(DIMENSION))
TRUTH = SHIFT**2 * DIMENSION
"""Distance of a normal law whose mean is off by SHIFT in every coordinate."""


def normal(rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.normal(SHIFT, 1.0, size=(SAMPLES, DIMENSION))


def distance(x: NDArray[np.float64]) -> float:
    return jackknife(x)[0]


def jackknife(x: NDArray[np.float64]) -> tuple[float, float, float]:
    found = frechet_jackknife(
        [numpy_moments(part) for part in np.array_split(x, BLOCKS)], REFERENCE
    )
    return found.estimate, found.bias, found.error


def test_the_distances_are_those_of_the_matrix_square_root() -> None:
    """That of the jackknife, of the extrapolation, and of torch-fidelity, which is published."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 5)), rng.normal(1.0, 2.0, size=(60, 5)) @ rng.normal(size=(5, 5))
    c, d = np.cov(x.T), np.cov(y.T)
    gap = x.mean(axis=0) - y.mean(axis=0)
    expected = gap @ gap + np.trace(c + d - 2 * np.real(linalg.sqrtm(c @ d)))
    blocks = [numpy_moments(part) for part in np.array_split(x, 5)]
    assert frechet_jackknife(blocks, numpy_moments(y)).estimate == pytest.approx(expected, rel=1e-9)
    samples, real = torch.from_numpy(x), moments(torch.from_numpy(y))
    assert distances(samples[None], real).item() == pytest.approx(expected, rel=1e-9)
    assert frechet.distance(moments(samples), real) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("fit", [numpy_moments, lambda x: moments(torch.from_numpy(x))])
def test_moments_add_and_subtract_to_those_of_the_samples(
    fit: Callable[[NDArray[np.float32]], Moments[Any]],
) -> None:
    x = np.random.default_rng(1).normal(1e3, 1.0, size=(90, 4)).astype(np.float32)
    whole, head, tail = fit(x), fit(x[:30]), fit(x[30:])
    assert np.asarray(whole.covariance) == pytest.approx(np.cov(x.T.astype(float)))
    for found, expected in ((head + tail, whole), (whole - head, tail)):
        assert found.count == expected.count
        assert np.asarray(found.mean) == pytest.approx(np.asarray(expected.mean))
        scatter = pytest.approx(np.asarray(expected.scatter), rel=1e-9, abs=1e-6)
        assert np.asarray(found.scatter) == scatter


def test_bias_and_error_are_those_of_repeated_samples() -> None:
    rng = np.random.default_rng(2)
    found = np.array([jackknife(normal(rng)) for _ in range(200)])
    estimates, biases, errors = found.T
    noise = estimates.std() / math.sqrt(200)
    assert estimates.mean() - TRUTH > 5 * noise
    assert (estimates - biases).mean() == pytest.approx(TRUTH, abs=4 * noise)
    assert errors.mean() == pytest.approx(estimates.std(), rel=0.15)


def test_the_jackknife_is_right_where_a_bootstrap_adds_the_bias_once_more() -> None:
    """Percentile intervals of 60 bootstrap samples, against the estimate less the bias +- 2 se."""
    rng = np.random.default_rng(3)
    covered = {"bootstrap": 0, "jackknife": 0}
    excess = []
    for _ in range(40):
        x = normal(rng)
        drawn = [distance(x[rng.integers(SAMPLES, size=SAMPLES)]) for _ in range(60)]
        estimate, bias, error = jackknife(x)
        excess.append((np.mean(drawn) - estimate) / bias)
        low, high = np.quantile(drawn, [0.025, 0.975])
        covered["bootstrap"] += int(low <= TRUTH <= high)
        covered["jackknife"] += int(abs(estimate - bias - TRUTH) <= 2.09 * error)
    assert np.mean(excess) == pytest.approx(1.0, abs=0.15)
    assert covered["jackknife"] >= 35
    assert covered["bootstrap"] <= 30


def test_one_block_is_no_jackknife() -> None:
    with pytest.raises(ValueError, match="two blocks"):
        frechet_jackknife([REFERENCE], REFERENCE)
