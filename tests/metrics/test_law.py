"""What an exact law says of samples, against other computations."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bench.data.dataset import DataSet
from bench.data.mixture import GaussianMixture
from bench.metrics import law as exact
from bench.metrics.measures.mmd import Discrepancy
from bench.streams import stream


@pytest.fixture(params=["mixture2d", "digits_mixture"])
def dataset(request: pytest.FixtureRequest, real_data: Callable[[str], DataSet]) -> DataSet:
    return real_data(request.param)


def law_of(dataset: DataSet) -> GaussianMixture:
    assert dataset.mixture is not None
    return dataset.mixture


def points(dataset: DataSet, count: int) -> Tensor:
    return dataset.train[:count].flatten(1).double()


def test_points_are_located_as_the_law_says(dataset: DataSet) -> None:
    law, x = law_of(dataset), points(dataset, 50)
    found = exact.located(law, x)
    assert torch.allclose(found.log_density, law.log_density(x), rtol=1e-9)
    assert torch.allclose(found.shares, law.responsibilities(x), atol=1e-9)
    inverse = torch.linalg.inv(law.covariances.dense())
    gaps = x[:, None] - law.means
    expected = torch.einsum("nkd,kde,nke->nk", gaps, inverse, gaps)
    assert torch.allclose(found.squared, expected, rtol=1e-6, atol=1e-6)


def test_the_entropy_of_one_gaussian_is_known() -> None:
    scales = torch.tensor([[0.5, 2.0, 1.0]], dtype=torch.float64)
    law = GaussianMixture.diagonal(torch.ones(1), torch.zeros(1, 3), scales**2)
    expected = 1.5 * math.log(2 * math.pi * math.e) + scales.log().sum().item()
    assert exact.entropy(law) == pytest.approx(expected, rel=1e-9)


def test_the_entropy_is_the_mean_over_draws(dataset: DataSet) -> None:
    law = law_of(dataset)
    values = -law.log_density(law.sample(40_000, stream("entropy of draws")))
    error = values.std().item() / 200
    assert abs(exact.entropy(law) - values.mean().item()) < 3.5 * error


def test_two_modes_in_one_place_have_the_entropy_of_one() -> None:
    """Here nothing is known of the mode, and the whole of its entropy is taken off again."""
    law = GaussianMixture.diagonal(torch.tensor([0.3, 0.7]), torch.zeros(2, 2), torch.ones(2, 2))
    assert exact.entropy(law) == pytest.approx(math.log(2 * math.pi * math.e), rel=1e-6)


def test_the_width_of_modes_is_their_deviation_in_the_plane(
    real_data: Callable[[str], DataSet],
) -> None:
    assert exact.mode_width(law_of(real_data("mixture2d"))) == pytest.approx(0.1)


def test_kernel_means_are_those_of_plain_sums_and_of_a_smoothed_law(dataset: DataSet) -> None:
    law, x = law_of(dataset), points(dataset, 700)
    squared_width = Discrepancy(law).squared_width
    smoothed = law.smoothed(squared_width**0.5)
    # A kernel is this many times a normal density.
    log_scale = x.shape[1] / 2 * math.log(2 * math.pi * squared_width)
    between_data = math.exp(log_scale) * law.overlap(smoothed)
    ours = exact.KernelMeans(law, [squared_width**0.5])
    assert ours.between_data == pytest.approx(between_data, rel=1e-9)
    kernel = (torch.cdist(x, x).square() / (-2 * squared_width)).exp()
    across = (smoothed.log_density(x) + log_scale).exp().mean()
    expected = (kernel.mean() - 2 * across).item() + between_data
    assert ours.squared(x) == pytest.approx(expected, rel=1e-6)
    assert Discrepancy(law).squares(x)[0] == pytest.approx(expected, rel=1e-6)


def test_several_widths_are_averaged(dataset: DataSet) -> None:
    law, x = law_of(dataset), points(dataset, 300)
    widths = [exact.mode_width(law) * factor for factor in (0.7, 1.0, 2.0)]
    apart = [exact.KernelMeans(law, [width]).squared(x) for width in widths]
    assert exact.KernelMeans(law, widths).squared(x) == pytest.approx(sum(apart) / 3, rel=1e-9)


def test_parts_and_prefixes_make_the_same_sum(
    dataset: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    law, x = law_of(dataset), points(dataset, 700)
    kernel = exact.KernelMeans(law, [exact.mode_width(law)])
    whole, first = kernel.squares(x, [700, 300])
    assert kernel.squared(x[:300]) == pytest.approx(first, rel=1e-9)
    squared = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist").square()
    between = (squared / (-2 * kernel.widths[0] ** 2)).exp().mean().item()
    expected = between - 2 * kernel.across(x).mean().item() + kernel.between_data
    assert whole == pytest.approx(expected, rel=1e-6)
    monkeypatch.setattr(exact, "ROWS", 64)
    assert kernel.squared(x) == pytest.approx(whole, rel=1e-9)


def test_no_matrix_of_all_pairs_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """20,000 samples have 400 million pairs; what is held is :data:`ROWS` rows of them."""
    held: list[int] = []
    addmm = torch.addmm

    def watched(*given: Tensor, **options: float) -> Tensor:
        held.append(given[1].shape[0] * given[2].shape[1])
        return addmm(*given, **options)

    monkeypatch.setattr(torch, "addmm", watched)
    law = GaussianMixture.diagonal(torch.ones(1), torch.zeros(1, 1), torch.ones(1, 1))
    exact.KernelMeans(law, [1.0]).squared(law.sample(3000, stream("pairs")))
    assert max(held) <= exact.ROWS * 3000
