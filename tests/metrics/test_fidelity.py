"""Our numbers are torch-fidelity's, and they tell good samples from bad ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torch_fidelity import calculate_metrics

from bench.data import DataSet
from bench.evaluation import Context, References, Settings
from bench.metrics import Measurement
from bench.metrics.fidelity import compute, register
from bench.streams import stream

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


def test_real_features_are_computed_once(references: References) -> None:
    compute(Context(references.dataset.train[:BLOCK], references))
    kept = references.derived(("held_out", 0, "features"), lambda: None)
    compute(Context(references.dataset.train[BLOCK : 2 * BLOCK], references))
    assert kept is not None
    assert references.derived(("held_out", 0, "features"), lambda: None) is kept


def test_registering_twice_does_nothing() -> None:
    assert register("digits") == register("digits")
