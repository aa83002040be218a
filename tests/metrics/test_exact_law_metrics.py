"""Metrics of exact laws: what samples with a known fault score, worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.data.dataset import DataSet
from bench.data.mixture import GaussianMixture
from bench.metrics.context import Context, References, Settings
from bench.metrics.measurement import Measurement, evaluate
from bench.metrics.measures import c2st, mmd_modes, off_mode, wasserstein
from bench.metrics.planted import between, missing, reweighted, shift, spread, weights
from bench.streams import stream

BLOCK = 2000
COUNT = 5 * BLOCK


def settings(**given: Any) -> Settings:
    base = Settings(block=BLOCK, kid_subsets=1, kid_subset_size=100, neighbours=3)
    return replace(base, **given)


@pytest.fixture
def ring(real_data: Callable[[str], DataSet]) -> DataSet:
    return real_data("mixture2d")


@pytest.fixture
def images(real_data: Callable[[str], DataSet]) -> DataSet:
    return real_data("digits_mixture")


def law_of(dataset: DataSet) -> GaussianMixture:
    assert dataset.mixture is not None
    return dataset.mixture


def drawn(dataset: DataSet, draw: Callable[..., Tensor], *key: str) -> Tensor:
    x = draw(law_of(dataset), COUNT, stream("fault", *key))
    return x.float().reshape(COUNT, *dataset.shape)


def score(dataset: DataSet, metric: str, samples: Tensor) -> Measurement:
    (found,) = evaluate(Context(samples, References(dataset, settings())), metric)
    assert found.value is not None
    return found


@pytest.mark.parametrize("metric", ["excess_nll", "off_mode_excess"])
@pytest.mark.parametrize("name", ["mixture2d", "digits_mixture"])
def test_data_have_no_excess(name: str, metric: str, real_data: Callable[[str], DataSet]) -> None:
    data = real_data(name)
    found = score(data, metric, data.train[:COUNT])
    assert found.value_se is not None
    assert abs(found.value) < 3.5 * found.value_se


def test_modes_that_are_too_wide_have_the_excess_of_a_chi_square(ring: DataSet) -> None:
    """``d (s^2 - 1) / 2`` of two dimensions and 1.2 times the width, where modes lie apart."""
    found = score(ring, "excess_nll", drawn(ring, spread))
    assert found.value == pytest.approx(1.2**2 - 1, abs=4 * found.value_se)


def test_modes_that_are_too_narrow_fall_below_zero(ring: DataSet) -> None:
    x, mode = law_of(ring).draw(COUNT, stream("narrow"))
    means = law_of(ring).means[mode]
    narrow = (means + 0.8 * (x - means)).float()
    assert score(ring, "excess_nll", narrow).value < -0.3
    assert score(ring, "off_mode_excess", narrow).value < -0.005


def test_points_between_modes_are_off_them(ring: DataSet) -> None:
    """5% are put there, some of them on the mode between next but one neighbours."""
    found = score(ring, "off_mode_excess", drawn(ring, between))
    assert 0.03 < found.value < 0.05


def test_the_radius_is_three_deviations_in_the_plane(ring: DataSet) -> None:
    squared = torch.tensor([[8.99], [9.01]])
    assert off_mode.off_modes(law_of(ring), squared).tolist() == [False, True]
    assert off_mode.expected_share(law_of(ring)) == pytest.approx(math.exp(-4.5), abs=1e-3)


def test_a_missing_mode_has_the_divergence_of_its_weight(ring: DataSet) -> None:
    """``w + w^2 / (1 - w)`` for a mode of weight w: its own term, and those of all others."""
    w = 1 / 12
    expected = w + w**2 / (1 - w) + 6 / BLOCK
    assert score(ring, "mode_chi2", drawn(ring, missing)).value == pytest.approx(expected, rel=0.05)


def test_wrong_weights_are_seen_in_images_too(images: DataSet) -> None:
    real = score(images, "mode_chi2", images.train[:COUNT]).value
    assert score(images, "mode_chi2", drawn(images, weights)).value > 1.4 * real


def test_the_density_does_not_see_a_missing_mode_nor_occupancy_a_wide_one(ring: DataSet) -> None:
    """Why they are a pair."""
    equal = reweighted(law_of(ring), torch.full((8,), 1 / 8, dtype=torch.float64))
    kept = equal.restricted(torch.arange(8) != 3)
    references = References(
        DataSet("mixture2d", "vector", ring.train, ring.held_out, None, 0.7, mixture=equal),
        settings(),
    )

    def of(metric: str, samples: Tensor) -> Measurement:
        (found,) = evaluate(Context(samples.float(), references), metric)
        return found

    without = kept.sample(COUNT, stream("without"))
    density = of("excess_nll", without)
    assert abs(density.value) < 3.5 * density.value_se
    assert of("mode_chi2", without).value > 0.1
    wide = spread(equal, COUNT, stream("wide"))
    assert of("mode_chi2", wide).value < 2 * 7 / BLOCK
    assert of("excess_nll", wide).value > 0.3


def test_a_classifier_is_at_chance_on_data_and_finds_a_shift(ring: DataSet) -> None:
    real = score(ring, "c2st", ring.train[:COUNT])
    assert real.value == pytest.approx(0.5, abs=0.012)
    assert (real.reference_set, real.n_reference) == ("held_out", BLOCK)
    # Half a deviation of the modes: the best classifier is right with probability Phi(1/4).
    assert 0.56 < score(ring, "c2st", drawn(ring, shift)).value < 0.61


def test_a_classifier_is_judged_on_what_it_was_not_trained_on() -> None:
    """As many features as samples: by heart it would be right throughout."""
    generator = stream("by heart")
    one, other = (torch.randn(200, 150, generator=generator).double() for _ in range(2))
    assert c2st.accuracy(one, other) == pytest.approx(0.5, abs=0.1)


def test_weights_are_where_the_slope_of_the_penalised_loss_is_zero() -> None:
    x = torch.randn(400, 5, generator=stream("logistic")).double()
    y = torch.where(x[:, 0] + torch.randn(400, generator=stream("noise")) > 0, 1.0, -1.0).double()
    found = c2st.weights(x, y).requires_grad_()
    loss = torch.nn.functional.softplus(-y * (x @ found)).sum() + found.square().sum() / 2
    (slope,) = torch.autograd.grad(loss, found)
    assert slope.abs().max() < 0.02


def test_bandwidths_are_a_setting(ring: DataSet) -> None:
    def of(*bandwidths: float) -> float:
        references = References(ring, settings(bandwidths=bandwidths))
        (found,) = mmd_modes.compute(Context(ring.train[:BLOCK], references))
        assert found.value is not None
        return found.value

    assert of() == pytest.approx(of(0.1), rel=1e-6)
    assert of(0.1, 0.5) ** 2 == pytest.approx((of(0.1) ** 2 + of(0.5) ** 2) / 2, rel=1e-6)


def test_a_large_block_is_assigned_in_parts(ring: DataSet) -> None:
    x, y = ring.train[:400], ring.held_out[:400]
    references = References(ring, settings(block=400, assigned=200))
    (found,) = wasserstein.compute(Context(x, references))
    parts = [wasserstein.distance(x[i:j], y[i:j]) for i, j in ((0, 200), (200, 400))]
    assert found.value == pytest.approx(sum(parts) / 2)
    assert found.n_reference == 200
    (whole,) = wasserstein.compute(Context(x, References(ring, settings(block=400))))
    assert whole.value == wasserstein.distance(x, y)
