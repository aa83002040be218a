"""The discrepancy to an exact law: against plain sums, and what it must tell apart."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bench.data.dataset import DataSet
from bench.data.mixture import GaussianMixture
from bench.metrics.context import Context, References, Settings
from bench.metrics.declared import applicable
from bench.metrics.measures.mmd import Discrepancy, compute
from bench.stages.floor import fitted_gaussian
from bench.streams import stream
from tests import sources

BLOCK = 597


def law(dataset: DataSet) -> GaussianMixture:
    assert dataset.mixture is not None
    return dataset.mixture


@pytest.fixture
def images(real_data: Callable[[str], DataSet]) -> DataSet:
    return real_data("digits_mixture")


@pytest.mark.parametrize("name", ["mixture2d", "digits_mixture"])
def test_equal_to_plain_sums_over_many_draws(
    name: str, real_data: Callable[[str], DataSet]
) -> None:
    dataset = real_data(name)
    distance = Discrepancy(law(dataset))
    x = 0.8 * dataset.train[:300].flatten(1).double()
    y = dataset.held_out[:6000].flatten(1).double()

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (-4 * torch.cdist(a, b).square() / torch.cdist(y, y).square().mean()).exp()

    off_diagonal = (kernel(y, y).sum() - len(y)) / (len(y) * (len(y) - 1))
    squared = kernel(x, x).mean() - 2 * kernel(x, y).mean() + off_diagonal
    assert distance(x) ** 2 == pytest.approx(squared.item(), rel=0.02)


def test_real_data_score_what_their_number_says(images: DataSet) -> None:
    """With itself a sample has similarity one, with others ``between_data``."""
    distance = Discrepancy(law(images))
    squares = [distance(block) ** 2 for block in images.train.split(BLOCK)[:20]]
    expected = (1 - distance.kernel.between_data) / BLOCK
    assert sum(squares) / 20 == pytest.approx(expected, rel=0.05)


def test_each_defect_scores_worse_than_real_data(images: DataSet) -> None:
    distance = Discrepancy(law(images))

    def score(samples: Tensor) -> float:
        values = [distance(block) for block in samples.split(BLOCK)]
        return sum(values) / len(values)

    count = 5 * BLOCK
    real = images.train[:count]
    labels = law(images).labels
    assert labels is not None
    blurred = torch.nn.functional.avg_pool2d(real, 3, stride=1, padding=1, count_include_pad=False)
    noise = torch.randn(real.shape, generator=stream("mmd"))
    without = law(images).restricted(labels != 3).sample(count, stream("without"))
    assert score(fitted_gaussian(images, count)) > 1.7 * score(real)
    assert score(0.7 * real + 0.3 * blurred) > 1.5 * score(real)
    assert score(real + 0.2 * noise) > 1.3 * score(real)
    assert score(without) > 1.2 * score(real)


def test_every_block_meets_the_law_itself(images: DataSet) -> None:
    settings = Settings(block=200, kid_subsets=1, kid_subset_size=100, neighbours=3)
    references = References(images, settings)
    measured, squared = compute(Context(images.train[:400], references))
    assert (measured.metric, squared.metric) == ("mmd", "mmd2_unbiased")
    distance = Discrepancy(law(images))
    first, second = distance(images.train[:200]), distance(images.train[200:400])
    assert measured.value == pytest.approx((first + second) / 2)
    assert measured.value_se == pytest.approx(abs(first - second) / 2)
    assert (measured.reference_set, measured.n_reference) == ("exact", None)


def test_memorisation_asks_for_grey_levels_and_a_law_for_exactness() -> None:
    exact, levels = (applicable(sources.description(name)) for name in ("digits_mixture", "digits"))
    assert {"mmd", "sample_nll"} <= set(exact)
    assert {"memorisation", "frechet", "wasserstein"}.isdisjoint(exact)
    assert {"memorisation", "frechet"} <= set(levels)
    assert {"mmd", "sample_nll"}.isdisjoint(levels)
