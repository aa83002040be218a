"""The small convolutional classifiers: they learn, treat images one by one, and take any size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bench.data.dataset import DataSet
from bench.metrics.extractors import accuracy, extractor_module, load
from bench.metrics.extractors._convolutional import FEATURES
from tests import sources


@pytest.mark.parametrize("name", ["fashion", "cifar10"])
def test_it_recognises_pictures_it_never_saw(
    name: str,
    real_data: Callable[[str], DataSet],
    extractor_weights: Callable[[str], Path | None],
) -> None:
    path = extractor_weights(name)
    assert path is not None
    network = load(sources.description(name).extractor or "", path)
    dataset = real_data(name)
    assert accuracy(network, dataset, "held_out") > 0.95
    images = dataset.to_uint8(dataset.held_out[:20])
    features = network.features(images)
    assert features.shape == (20, FEATURES)
    assert (features >= 0).all()
    torch.testing.assert_close(network.features(images[:1]), features[:1])


@pytest.mark.parametrize(("name", "channels"), [("fashion", 1), ("cifar10", 3)])
def test_any_size_gives_as_many_features(name: str, channels: int) -> None:
    network = extractor_module(name).build()
    for side in (14, 28, 32, 64):
        images = torch.zeros(2, 3, side, side, dtype=torch.uint8)
        assert network.features(images).shape == (2, FEATURES)
        changed = images.clone()
        changed[:, channels - 1] = 255
        assert not torch.equal(network.features(changed), network.features(images))
