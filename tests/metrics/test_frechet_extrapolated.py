"""The extrapolated distance: its line, what it takes away, and its error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bench.data.dataset import DataSet
from bench.metrics.context import Context, References, Settings
from bench.metrics.gaussian_fits import distances, moments
from bench.metrics.measures.frechet import distance
from bench.metrics.measures.frechet_extrapolated import compute, extrapolated
from bench.streams import stream

SETTINGS = Settings(block=398, kid_subsets=1, kid_subset_size=99, neighbours=3)


def normal(*shape: int, key: str) -> torch.Tensor:
    return torch.randn(*shape, generator=stream(key), dtype=torch.float64)


def test_many_distances_at_once_equal_torch_fidelitys() -> None:
    mixing = normal(6, 6, key="mixing")
    real = moments(normal(500, 6, key="real") @ mixing)
    sets = normal(3, 200, 6, key="sets") @ mixing + 0.3
    expected = [distance(moments(part), real) for part in sets]
    assert distances(sets, real).tolist() == pytest.approx(expected, rel=1e-9)


def test_a_covariance_without_full_rank_is_no_obstacle() -> None:
    flat = normal(300, 5, key="flat") * torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0])
    real, other = moments(flat), flat[None, :100] + 1
    assert distances(other, real).item() == pytest.approx(distance(moments(other[0]), real))


def test_the_bias_of_few_samples_is_taken_away() -> None:
    """Samples of the reference's own law: a distance of about 0.25 at this size, in truth zero."""
    real = moments(normal(50_000, 32, key="reference"))
    raw, corrected, errors = [], [], []
    for repeat in range(8):
        samples = normal(1194, 32, key=f"samples {repeat}")
        raw.append(distances(samples[None], real).item())
        value, error = extrapolated(samples, real)
        corrected.append(value)
        errors.append(error)
    mean = sum(corrected) / 8
    assert sum(raw) / 8 > 0.2
    assert abs(mean) < 0.1 * sum(raw) / 8
    assert sum(errors) < 0.1 * sum(raw)


def test_an_exact_line_has_no_error() -> None:
    """Equal parts measure the same at every size: the intercept is the distance itself."""
    part = normal(100, 4, key="part")
    real = moments(normal(400, 4, key="other"))
    biased = part.repeat(12, 1)
    value, error = extrapolated(biased, real, (1, 2, 3, 4, 6))
    whole = distances(biased[None], real).item()
    assert value == pytest.approx(whole, rel=0.02)
    assert error < 0.01 * whole


def test_one_value_of_all_blocks_against_the_whole_held_out_set(
    real_data: Callable[[str], DataSet], extractor_weights: Callable[[str], Path | None]
) -> None:
    digits = real_data("digits")
    references = References(digits, SETTINGS, extractor_weights("digits"), "digits")
    (measured,) = compute(Context(digits.train[:1194], references))
    assert measured.metric == "fd_digits_inf"
    assert measured.n_reference == 597
    assert measured.value_se is not None
    order = torch.randperm(1194, generator=stream("order"))
    (again,) = compute(Context(digits.train[order], references))
    assert again.value == pytest.approx(measured.value, rel=1e-9)


def test_too_few_samples_for_a_fit_are_refused(
    real_data: Callable[[str], DataSet], extractor_weights: Callable[[str], Path | None]
) -> None:
    digits = real_data("digits")
    settings = Settings(block=150, kid_subsets=1, kid_subset_size=75, neighbours=3)
    references = References(digits, settings, extractor_weights("digits"), "digits")
    (measured,) = compute(Context(digits.train[:300], references))
    assert measured.value is None
    assert measured.columns()["error"] == "300 samples have fewer than 3 parts of 256 and more"
