"""Our numbers are torch-fidelity's, and they tell good samples from bad ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torch_fidelity import calculate_metrics
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from bench.data.dataset import DataSet
from bench.metrics import features
from bench.metrics.context import Context, References, Settings
from bench.metrics.declared import measured_in
from bench.metrics.extractors import Extractor, extract, load
from bench.metrics.gaussian_fits import moments
from bench.metrics.measurement import Measurement
from bench.metrics.measures import frechet_full
from bench.metrics.measures.frechet import compute, distance
from bench.streams import stream
from tests.parity.registered import register

BLOCK = 597
SETTINGS = Settings(block=BLOCK, kid_subsets=4, kid_subset_size=298, neighbours=3)


class Images(Dataset[Tensor]):
    """Images ``[n, 3, h, w]`` uint8, one by one."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index]


@pytest.fixture
def weights(extractor_weights: Callable[[str], Path | None]) -> Path:
    path = extractor_weights("digits")
    assert path is not None
    return path


@pytest.fixture
def digits(real_data: Callable[[str], DataSet]) -> DataSet:
    return real_data("digits")


@pytest.fixture
def references(digits: DataSet, weights: Path) -> References:
    return References(digits, SETTINGS, weights, "digits")


def noisy(samples: Tensor, strength: float) -> Tensor:
    return samples + strength * torch.randn(samples.shape, generator=stream("noisy"))


def value(measured: list[Measurement], metric: str, reference: str = "held_out") -> float:
    return next(m.value for m in measured if (m.metric, m.reference_set) == (metric, reference))


@pytest.mark.parametrize("reference", ["held_out", "train"])
def test_equal_to_torch_fidelity_end_to_end_on_the_same_images(
    digits: DataSet, references: References, weights: Path, reference: str
) -> None:
    samples = noisy(digits.train[-BLOCK:], 0.4)
    measured = compute(Context(samples, references))
    real = digits.held_out if reference == "held_out" else digits.train[:BLOCK]
    # save_cpu_ram keeps the loader in this process; no cache name, so nothing stale is read.
    theirs = calculate_metrics(
        input1=Images(digits.to_uint8(samples)),
        input2=Images(digits.to_uint8(real)),
        feature_extractor=register("digits"),
        feature_extractor_weights_path=str(weights),
        fid=True,
        kid=True,
        prc=True,
        kid_subsets=SETTINGS.kid_subsets,
        kid_subset_size=SETTINGS.kid_subset_size,
        rng_seed=0,
        batch_size=BLOCK,
        cuda=False,
        save_cpu_ram=True,
        cache=False,
        verbose=False,
    )
    expected = theirs["frechet_inception_distance"]
    assert value(measured, "fd_digits", reference) == pytest.approx(expected, rel=1e-6)
    if reference == "held_out":
        expected = theirs["kernel_inception_distance_mean"]
        assert value(measured, "kid_digits") == pytest.approx(expected, rel=1e-6)
        assert value(measured, "precision_digits") == theirs["precision"]
        assert value(measured, "recall_digits") == theirs["recall"]


def test_the_number_that_papers_print_is_of_all_samples_and_all_training_data(
    digits: DataSet, references: References, weights: Path
) -> None:
    # In any order but that of the writers: a jackknife is for samples that can change places.
    order = torch.randperm(2 * BLOCK, generator=stream("order"))
    samples = noisy(digits.train[order], 0.4)
    (measured,) = frechet_full.compute(Context(samples, references))
    network = load("digits", weights)
    # In float64: torch-fidelity takes the mean in the precision of the features.
    ours, theirs = (
        fid_features_to_statistics(extract(network, digits.to_uint8(x)).double())
        for x in (samples, digits.train)
    )
    expected = fid_statistics_to_metric(ours, theirs, verbose=False)["frechet_inception_distance"]
    assert measured.value == pytest.approx(expected, rel=1e-6)
    assert 0 < measured.value_se < measured.value / 10
    assert measured.n_reference == len(digits.train) == 1200
    assert (measured.metric, measured.reference_set) == ("fd_digits_full", "train")


def test_a_full_distance_of_too_few_samples_is_refused(references: References) -> None:
    dimensions = 64
    few = dataclasses.replace(
        references, settings=dataclasses.replace(SETTINGS, block=dimensions), _derived={}
    )
    for count, refused in ((dimensions, True), (2 * dimensions, False)):
        (measured,) = frechet_full.compute(Context(references.dataset.train[:count], few))
        assert (measured.value is None) == refused
        assert ("singular" in (measured.refusal or "")) == refused


def test_names_say_which_extractor_and_which_images(references: References) -> None:
    for m in compute(Context(references.dataset.train[:BLOCK], references)):
        assert m.metric.endswith("_digits")
        assert m.extractor == "digits"
        assert m.n_reference == BLOCK
        assert m.reference_set in ("held_out", "train")


def test_copies_of_few_images_have_precision_but_no_recall(references: References) -> None:
    few = references.dataset.held_out[:10].repeat(60, 1, 1, 1)[:BLOCK]
    collapsed = compute(Context(few, references))
    honest = compute(Context(references.dataset.train[:BLOCK], references))
    assert value(collapsed, "precision_digits") == 1
    assert value(collapsed, "recall_digits") < 0.1
    assert value(honest, "recall_digits") > 0.8
    assert value(collapsed, "fd_digits") > 5 * value(honest, "fd_digits")


def test_a_memoriser_scores_zero_against_train_but_not_against_held_out(
    references: References,
) -> None:
    copies = compute(Context(references.dataset.train[: 2 * BLOCK], references))
    assert value(copies, "fd_digits", "train") == pytest.approx(0, abs=1e-6)
    assert value(copies, "fd_digits", "held_out") > 1


def test_samples_are_rounded_to_the_levels_of_the_data(references: References) -> None:
    images = references.dataset.train[:BLOCK]
    within = images + 0.99 / 16 * (torch.rand(images.shape, generator=stream("within")) * 2 - 1)
    for ours, exact in zip(
        compute(Context(within, references)), compute(Context(images, references)), strict=True
    ):
        assert ours == exact


def test_real_features_are_computed_once(
    references: References, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed = []

    def counting(network: Extractor, images: Tensor) -> Tensor:
        fed.append(len(images))
        return extract(network, images)

    monkeypatch.setattr(features, "extract", counting)
    compute(Context(references.dataset.train[:BLOCK], references))
    assert sorted(fed) == [BLOCK, BLOCK, 1200]  # samples, held-out, train
    compute(Context(references.dataset.train[BLOCK : 2 * BLOCK], references))
    assert len(fed) == 4


def gaussian_features(count: int, scale: float, shift: float, key: str) -> Tensor:
    """Features ``[count, 4]`` whose mean and covariance are exactly those asked for."""
    x = torch.randn(count, 4, generator=stream(key), dtype=torch.float64)
    x = x - x.mean(dim=0)
    whitened = torch.linalg.solve_triangular(torch.linalg.cholesky(x.T.cov()), x.T, upper=False)
    return (scale * whitened).T + shift


def test_the_closed_form_on_gaussian_features() -> None:
    """``d (a - b)^2 + d s^2`` for covariances ``a^2 I, b^2 I`` and means a distance apart."""
    one = moments(gaussian_features(300, 2.0, 0.0, "one"))
    other = moments(gaussian_features(500, 0.5, 3.0, "other"))
    assert distance(one, other) == pytest.approx(4 * 1.5**2 + 4 * 3**2, rel=1e-10)
    assert distance(one, one) == pytest.approx(0, abs=1e-10)


def test_moments_of_float32_features_are_taken_in_float64() -> None:
    """In float32 the mean of a million at ten thousand has no decimals."""
    far = 1e4 + torch.randn(20_000, 2, generator=stream("far"))
    found = moments(far)
    assert found.mean.dtype == found.covariance.dtype == torch.float64
    np.testing.assert_allclose(found.mean, far.numpy().astype(np.float64).mean(0), rtol=1e-14)


def test_a_set_no_larger_than_the_dimension_is_refused(digits: DataSet, weights: Path) -> None:
    few = dataclasses.replace(SETTINGS, block=64, kid_subset_size=32)
    measured = compute(Context(digits.train[:64], References(digits, few, weights, "digits")))
    for m in measured:
        columns = m.columns()
        if m.metric == "fd_digits":
            assert columns["value"] is None
            assert columns["error"] == "64 features in 64 dimensions have a singular covariance"
        else:
            assert m.value is not None
            assert "error" not in columns
    enough = dataclasses.replace(few, block=65)
    measured = compute(Context(digits.train[:65], References(digits, enough, weights, "digits")))
    assert all(m.value is not None for m in measured)


def test_features_of_real_images_are_kept_by_content(
    digits: DataSet, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def values(dataset: DataSet) -> list[float | None]:
        kept = References(dataset, SETTINGS, weights, "digits", cache=tmp_path)
        return [m.value for m in compute(Context(digits.train[:BLOCK], kept))]

    def files() -> set[Path]:
        return set(tmp_path.iterdir())

    first = values(digits)
    before = files()
    assert len(before) == 2
    ages = {path: path.stat().st_mtime_ns for path in before}
    assert values(digits) == first
    assert {path: path.stat().st_mtime_ns for path in files()} == ages
    # The same name with one other image, and with another network, are other files.
    changed = digits.held_out.clone()
    changed[0] = -changed[0]
    assert values(dataclasses.replace(digits, held_out=changed)) != first
    assert len(files()) == 3
    monkeypatch.setattr(features, "content_digest", lambda network: "another network")
    assert values(digits) == first
    assert len(files()) == 5


@pytest.mark.parametrize(
    ("extractor", "names"),
    [
        ("inception", ["fid", "kid_inception", "fid_inf", "fid_full"]),
        ("digits", ["fd_digits", "kid_digits", "fd_digits_inf", "fd_digits_full"]),
    ],
)
def test_only_inception_gives_an_fid(extractor: str, names: list[str]) -> None:
    stems = ["fd_{extractor}", "kid_{extractor}", "fd_{extractor}_inf", "fd_{extractor}_full"]
    assert [measured_in(stem, extractor) for stem in stems] == names
