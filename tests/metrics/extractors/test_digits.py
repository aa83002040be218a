"""The digits' classifier: good enough, the same on every run, and blind to the held-out half."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bench.data.dataset import DataSet
from bench.errors import InputError
from bench.experiment.measuring import ExtractorSpec
from bench.metrics.extractors import accuracy, extractor_module, load, train

SHORT = ExtractorSpec(epochs=2)


@pytest.fixture
def digits(real_data: Callable[[str], DataSet]) -> DataSet:
    return real_data("digits")


def test_it_recognises_digits_it_never_saw(
    digits: DataSet, extractor_weights: Callable[[str], Path | None]
) -> None:
    path = extractor_weights("digits")
    assert path is not None
    network = load("digits", path)
    assert accuracy(network, digits, "held_out") > 0.96
    assert accuracy(network, digits, "train") > 0.98


def test_training_is_deterministic_and_leaves_the_global_stream_alone(digits: DataSet) -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = train("digits", digits, SHORT).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    again = train("digits", digits, SHORT).state_dict()
    other = train("digits", digits, SHORT.model_copy(update={"seed": 1})).state_dict()
    for name, weights in first.items():
        assert torch.equal(weights, again[name])
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_the_held_out_half_has_no_influence(digits: DataSet) -> None:
    blind = dataclasses.replace(
        digits, held_out=torch.zeros_like(digits.held_out), held_out_labels=None
    )
    with_it, without = train("digits", digits, SHORT), train("digits", blind, SHORT)
    for a, b in zip(with_it.parameters(), without.parameters(), strict=True):
        assert torch.equal(a, b)


def test_64_finite_features(digits: DataSet) -> None:
    features = train("digits", digits, SHORT).features(digits.to_uint8(digits.held_out))
    assert features.shape == (len(digits.held_out), 64)
    assert features.dtype == torch.float32
    assert not features.requires_grad
    assert features.isfinite().all()


def test_data_without_labels_cannot_train_one(digits: DataSet) -> None:
    with pytest.raises(ValueError, match="no labels"):
        train("digits", dataclasses.replace(digits, train_labels=None), SHORT)


def test_an_unknown_extractor_is_bad_input() -> None:
    with pytest.raises(InputError, match="did you mean 'digits'"):
        extractor_module("digit")
