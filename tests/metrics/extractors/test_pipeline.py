"""From samples to features: levels, bytes, channels, batches; and random features for all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench.data.dataset import DataSet
from bench.metrics.extractors import Extractor, _base, content_digest, extract, load
from bench.metrics.extractors._base import BATCH
from bench.metrics.extractors.digits import DigitsClassifier
from bench.metrics.extractors.random_conv import RandomConvolutions
from bench.streams import stream


def images(count: int, size: int = 8) -> Tensor:
    generator = stream("images", count, size)
    return torch.randint(0, 256, (count, 3, size, size), generator=generator).to(torch.uint8)


def check_batching(network: Extractor) -> None:
    """The features of an image are the same bits whatever set it is part of."""
    several = images(2 * BATCH + 37)
    whole = extract(network, several)
    for cut in (1, 37, BATCH - 1, BATCH, BATCH + 1, len(several) - 1):
        parts = torch.cat([extract(network, several[:cut]), extract(network, several[cut:])])
        assert torch.equal(parts, whole), cut
    order = torch.randperm(len(several), generator=stream("order"))
    assert torch.equal(extract(network, several[order]), whole[order])


def test_features_do_not_depend_on_batching(
    extractor_weights: Callable[[str], Path | None],
) -> None:
    path = extractor_weights("digits")
    assert path is not None
    check_batching(load("digits", path))
    check_batching(RandomConvolutions())


def test_the_pipeline_of_a_sample_by_hand(real_data: Callable[[str], DataSet]) -> None:
    """17 levels, 0..255, three equal channels; what lies beyond black and white is clipped."""
    sample = torch.full((1, 1, 8, 8), -1.0)
    sample[0, 0, 0] = torch.tensor([-1.3, -0.94, -0.93, 0.0, 0.05, 0.07, 1.0, 1.2])
    bytes_ = real_data("digits").to_uint8(sample)
    assert bytes_.dtype == torch.uint8
    assert bytes_.shape == (1, 3, 8, 8)
    # Levels 0 0 1 8 8 9 16 16, of 16, times 255: a half is rounded to even.
    expected = torch.tensor([0, 0, 16, 128, 128, 143, 255, 255], dtype=torch.uint8)
    for channel in range(3):
        assert torch.equal(bytes_[0, channel, 0], expected)


def test_random_features_are_the_same_in_every_process_and_of_any_size() -> None:
    torch.manual_seed(0)
    one = RandomConvolutions()
    torch.manual_seed(1)
    other = RandomConvolutions()
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        assert not a.requires_grad
    for size in (8, 28, 32):
        features = extract(one, images(5, size))
        assert features.shape == (5, 64)
        assert features.isfinite().all()
        assert features.std(dim=0).min() > 0


def test_the_digest_follows_weights_and_code() -> None:
    same = RandomConvolutions()
    digest = content_digest(same)
    assert content_digest(RandomConvolutions()) == digest
    first = next(same.parameters())
    first.view(-1)[0] += 1e-6
    assert content_digest(same) != digest

    class Other(RandomConvolutions):
        pass

    assert content_digest(Other()) != digest
    assert content_digest(DigitsClassifier()) != digest


def test_on_a_gpu_the_digest_follows_the_rounding_of_products(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, found = RandomConvolutions(), dict[tuple[str, bool], str]()
    for where in ("cpu", "cuda"):
        monkeypatch.setattr(_base, "_device", lambda _, where=where: torch.device(where))
        for rounded in (False, True):
            monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", rounded)
            found[where, rounded] = content_digest(network)
    assert found["cpu", True] == found["cpu", False]
    assert len(set(found.values())) == 3


@pytest.mark.parametrize("count", [0, 1, BATCH, BATCH + 1])
def test_as_many_features_as_images(count: int) -> None:
    assert len(extract(RandomConvolutions(), images(count))) == count
