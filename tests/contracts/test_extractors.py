"""Every extractor that needs no file of weights: its features, and that no batch changes them."""

from __future__ import annotations

import pytest
import torch

from bench.metrics.extractors import (
    Classifier,
    Extractor,
    content_digest,
    extract,
    extractor_module,
)
from bench.metrics.extractors._base import BATCH
from bench.registry import discover
from bench.streams import stream, stream_seed

WITHOUT_FILES = [
    name for name in discover("extractors") if not hasattr(extractor_module(name), "WEIGHTS")
]
SIDE = {"digits": 8, "fashion": 14}
"""Sides of the images that an extractor is made for; 32 for one without an entry."""


def built(name: str, seed: int = 0) -> Extractor:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(stream_seed("a test", seed))
        network: Extractor = extractor_module(name).build()
    return network.eval().requires_grad_(False)


def images(name: str, count: int) -> torch.Tensor:
    """Grey images of noise, ``[n, 3, side, side]`` uint8 in three equal channels."""
    side = SIDE.get(name, 32)
    grey = torch.randint(0, 256, (count, 1, side, side), generator=stream("images", name))
    return grey.to(torch.uint8).expand(-1, 3, -1, -1)


@pytest.mark.parametrize("name", WITHOUT_FILES)
def test_features_of_an_image_do_not_depend_on_the_others(name: str) -> None:
    network, several = built(name), images(name, BATCH + 7)
    features = extract(network, several)
    assert features.shape[0] == len(several)
    assert features.dim() == 2
    assert features.dtype == torch.float32
    assert features.isfinite().all()
    assert features.std(dim=0).max() > 0
    assert torch.equal(extract(network, several[3:10]), features[3:10])


@pytest.mark.parametrize("name", WITHOUT_FILES)
def test_weights_that_are_kept_give_the_features_back(name: str) -> None:
    network, other = built(name), built(name, seed=1)
    again = type(network).restored(network.state_dict()).eval()
    assert content_digest(again) == content_digest(network)
    assert torch.equal(extract(again, images(name, 5)), extract(network, images(name, 5)))
    trained = isinstance(network, Classifier)
    assert (content_digest(other) != content_digest(network)) == trained, "whatever torch's stream"


@pytest.mark.parametrize("name", WITHOUT_FILES)
def test_what_is_trained_has_gradients_and_nothing_else(name: str) -> None:
    """All that is trained serves its logits; an extractor that is not trained has none to train."""
    network = built(name)
    if not isinstance(network, Classifier):
        assert not any(
            weights.requires_grad for weights in extractor_module(name).build().parameters()
        )
        return
    network.requires_grad_(True)
    logits = network(images(name, 16))
    assert logits.shape[0] == 16
    logits.square().sum().backward()
    assert all((p.grad is not None) and (p.grad != 0).any() for p in network.parameters())
