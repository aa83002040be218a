"""Letters: the same bits everywhere, apart from black, and told apart by the workflow."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import matplotlib as mpl
import pytest
import torch
from pydantic import ValidationError

from bench.data import glyphs
from bench.data.dataset import DataSet
from bench.data.sources import letters
from bench.errors import InputError
from bench.metrics.extractors import accuracy, train
from bench.streams import stream
from tests import sources


@pytest.fixture(scope="module")
def fields() -> torch.Tensor:
    return glyphs.distance_fields(4)


def test_letters_end_before_the_edge_of_their_field_and_have_ink(fields: torch.Tensor) -> None:
    edge = torch.cat([fields[..., 0, :], fields[..., -1, :], fields[..., 0], fields[..., -1]])
    assert (edge < 0).all()
    inside = (fields > 0).float().mean(dim=(2, 3))
    assert (inside > 0.02).all()
    assert (inside < 0.35).all()


def test_counters_are_holes(fields: torch.Tensor) -> None:
    """The middle of a D is black; it lies in the outer contour."""
    middle = glyphs.SIDE // 2
    assert (fields[:, 3, middle, middle] < 0).all()
    assert (fields[:, 3] > 0).any(dim=(1, 2)).all()


def test_images_are_the_bits_known(fields: torch.Tensor) -> None:
    images = letters.Letters(fields, 14).draw(200, stream("known"))
    pixels = ((images.samples + 1) * 127.5).round().to(torch.uint8)
    digest = hashlib.sha256(fields.numpy().tobytes() + pixels.numpy().tobytes()).hexdigest()
    assert digest == "5e17a377e8a7f28bb5d5fed091cdf519487dde108a17d4073bb260d5c45bffa0"


@pytest.mark.parametrize("size", [8, 14, 21, 28])
def test_letters_of_every_size_are_apart_from_the_border(fields: torch.Tensor, size: int) -> None:
    images, _ = letters.Letters(fields, size).draw(400, stream("border", size))
    assert images.shape == (400, 1, size, size)
    corners = images[:, 0, :: size - 1, :: size - 1]
    assert (corners == -1).float().mean() > 0.9
    assert (images.flatten(1).amax(1) > -0.6).all()
    ink = (images + 1).mean() / 2
    assert 0.1 < ink < 0.3


def test_the_classifier_of_the_workflow_tells_them_apart(
    real_data: Callable[[str], DataSet],
) -> None:
    """At least 95% of held-out letters of the default size, after a short training."""
    data = real_data("letters")
    network = train("letters", data, sources.LETTERS)
    assert accuracy(network, data, "held_out") >= 0.95


def test_other_fonts_are_refused(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mpl, "get_data_path", lambda: str(tmp_path))
    with pytest.raises(InputError, match=r"DejaVuSans\.ttf is not the font known"):
        letters.build(letters.Options(train=2, held_out=2))


@pytest.mark.parametrize(
    "wrong", [{"classes": 1}, {"classes": 27}, {"size": 7}, {"size": 29}, {"held_out": 1}]
)
def test_letters_that_are_none_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        letters.Options(**wrong)
