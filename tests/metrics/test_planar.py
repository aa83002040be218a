"""Sliced Wasserstein-2, energy distance, unbiased MMD and modes, against other computations."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from scipy import stats
from torch import Tensor

from bench.data.dataset import DataSet
from bench.data.mixture import GaussianMixture
from bench.metrics import law as exact
from bench.metrics.context import Context, References, Settings
from bench.metrics.measures import energy, mmd, modes, sliced_wasserstein
from bench.streams import stream

SETTINGS = Settings(block=200, kid_subsets=1, kid_subset_size=100, neighbours=3)


def points(count: int, key: str) -> Tensor:
    return torch.randn(count, 2, generator=stream(key), dtype=torch.float64)


@pytest.fixture
def ring(real_data: Callable[[str], DataSet]) -> DataSet:
    return real_data("mixture2d")


def law(dataset: DataSet) -> GaussianMixture:
    assert dataset.mixture is not None
    return dataset.mixture


def test_sliced_w2_of_a_translation_is_its_mean_projection() -> None:
    """``E (u.v)^2 = |v|^2 / d``; of 32 directions in the plane, about."""
    a = points(100, "a")
    moved = a + torch.tensor([3.0, 4.0])
    assert sliced_wasserstein.distance(a, moved) == pytest.approx(5 / math.sqrt(2), rel=0.25)
    assert sliced_wasserstein.distance(a, a.flip(0)) == pytest.approx(0, abs=1e-12)


def test_sliced_w2_sorts_projections() -> None:
    a, b = points(80, "a"), 2 * points(80, "b")
    directions = torch.randn(
        2, sliced_wasserstein.PROJECTIONS, generator=stream("sliced_w2"), dtype=torch.float64
    )
    directions = directions / directions.norm(dim=0)
    apart = (a @ directions).sort(dim=0).values - (b @ directions).sort(dim=0).values
    expected = apart.square().mean().sqrt().item()
    assert sliced_wasserstein.distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_energy_distance_on_a_line_equals_scipys() -> None:
    """Theirs is a root, and counts the pairs of a point with itself."""
    x, y = points(60, "x")[:, :1], 1.5 * points(90, "y")[:, :1] + 1
    within = energy.spread(x) * 59 / 60 + energy.spread(y) * 89 / 90
    found = 2 * energy.mean_distance(x, y) - within
    expected = stats.energy_distance(x[:, 0].numpy(), y[:, 0].numpy()) ** 2
    assert found == pytest.approx(expected, rel=1e-9)


def test_the_energy_distance_is_unbiased_and_sees_a_shift() -> None:
    generator = torch.Generator().manual_seed(1)
    one, other = (torch.randn(400, 3, generator=generator) for _ in range(2))
    assert abs(energy.distance(one, other)) < 0.02
    assert energy.distance(one, other + 1.0) > 0.5


def test_energy_distance_and_mmd_are_unbiased(ring: DataSet) -> None:
    """Over many draws of the data their mean is zero, within its own error."""
    references = References(ring, SETTINGS)
    context = Context(ring.train[:12_000], references)
    (apart,) = energy.compute(context)
    squared = {m.metric: m for m in mmd.compute(context)}["mmd2_unbiased"]
    for measured in (apart, squared):
        assert measured.value is not None
        assert measured.value_se is not None
        assert abs(measured.value) < 3 * measured.value_se


def test_the_unbiased_square_leaves_out_pairs_of_a_sample_with_itself(ring: DataSet) -> None:
    distance = mmd.Discrepancy(law(ring))
    x = ring.train[:150].double()
    kernel = (torch.cdist(x, x).square() / (-2 * distance.squared_width)).exp()
    whole, apart = distance.squares(x)
    outside = (kernel.sum() - kernel.trace()) / (150 * 149)
    assert whole - apart == pytest.approx((kernel.mean() - outside).item(), rel=1e-9)
    assert distance(x) == max(whole, 0.0) ** 0.5


def test_large_blocks_are_taken_in_parts(ring: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = ring.train[:300], ring.held_out[:300]
    discrepancy = mmd.Discrepancy(law(ring))
    whole = energy.distance(x, y), discrepancy.squares(x)
    for module in (energy, exact):
        monkeypatch.setattr(module, "ROWS", 70)
    assert energy.distance(x, y) == pytest.approx(whole[0], abs=1e-12)
    assert discrepancy.squares(x) == pytest.approx(whole[1], rel=1e-9)


def found(ring: DataSet, samples: Tensor) -> dict[str, float | None]:
    return {m.metric: m.value for m in modes.compute(Context(samples, References(ring, SETTINGS)))}


def test_real_data_cover_all_modes_with_their_weights(ring: DataSet) -> None:
    measured = found(ring, ring.held_out[:10_000])
    assert measured["mode_coverage"] > 0.97
    assert measured["mode_tv"] < 0.09  # of 200 points in eight modes; 1/6 for equal weights


def test_modes_that_are_missed_are_counted(ring: DataSet) -> None:
    """Two modes of weight 1/12 and one of 2/12 are left out: they hold a third of the data."""
    kept = torch.tensor([1, 3, 4, 5, 6])
    samples = law(ring).restricted(kept).sample(4000, stream("kept")).float()
    measured = found(ring, samples)
    assert measured["mode_coverage"] == pytest.approx(5 / 8, abs=0.02)
    assert measured["mode_tv"] == pytest.approx(4 / 12, abs=0.03)


def test_equal_weights_are_told_from_the_true_ones(ring: DataSet) -> None:
    exact = law(ring)
    even = GaussianMixture(torch.full((8,), 1 / 8), exact.means, exact.covariances)
    measured = found(ring, even.sample(20_000, stream("even")).float())
    assert measured["mode_coverage"] > 0.95
    assert measured["mode_tv"] == pytest.approx(1 / 6, abs=0.02)


def test_noise_between_the_modes_covers_none(ring: DataSet) -> None:
    """A disc holds points near every mode, but far fewer than the mode's own."""
    wide = law(ring).smoothed(1.0).sample(4000, stream("wide")).float()
    assert found(ring, wide)["mode_coverage"] < 0.1
