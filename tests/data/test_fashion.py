"""Fashion-MNIST: found in three places, read from its files, refused when they are others."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from bench.data import downloads
from bench.data.dataset import data_module, numeric_options
from bench.data.sources import fashion
from bench.data.sources.fashion import Options, build, describe, reduced
from bench.errors import InputError
from tests import sources


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The folder of the files, which are the known ones; there is no network."""
    with (
        patch.object(fashion, "FILES", sources.fashion_files(tmp_path)),
        patch.object(fashion, "INSTALLED", tmp_path / "nowhere"),
        patch.object(fashion, "MIRRORS", ("http://127.0.0.1:9/",)),
        patch.object(downloads, "PAUSE", 0.0),
    ):
        yield tmp_path


def test_images_and_labels_are_those_of_the_files(folder: Path) -> None:
    dataset = build(Options(path=str(folder)))
    sources.assert_read(dataset, 28, 1)
    levels = dataset.to_levels(dataset.train)
    assert torch.equal(levels, dataset.to_uint8(dataset.train)[:, :1].float())


def test_14x14_is_an_image_librarys_area_average(folder: Path) -> None:
    small, whole = (build(Options(path=str(folder), size=size)) for size in (14, 28))
    assert small.shape == describe(Options(size=14)).shape == (1, 14, 14)
    assert small.levels == 256
    for shrunk, image in zip(small.to_uint8(small.train), whole.to_uint8(whole.train), strict=True):
        theirs = np.asarray(Image.fromarray(image[0].numpy()).reduce(2))
        assert np.array_equal(shrunk[0].numpy(), theirs)
    assert torch.equal(small.quantise(small.train), small.train)


def test_means_are_rounded_half_up() -> None:
    blocks = np.array([[[0, 1, 255, 255], [1, 0, 255, 254]]], dtype=np.uint8)
    assert reduced(blocks, 2).tolist() == [[[1, 255]]]
    assert np.array_equal(reduced(blocks, 1), blocks)


def test_the_places_are_tried_in_order(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    with pytest.raises(InputError, match="cannot download train-images") as error:
        build(Options())
    for name, digests in fashion.FILES.items():
        assert f"{name} (SHA-256 {digests.gzip})" in str(error.value)
    cached = tmp_path / "caches" / "genpath-bench" / "fashion"
    for name in fashion.FILES:
        (cached / name).write_bytes((folder / name).read_bytes())
    assert len(build(Options()).train) == sources.TRAIN
    monkeypatch.setattr(fashion, "INSTALLED", folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    assert len(build(Options()).train) == sources.TRAIN
    with pytest.raises(InputError, match=r"datasets\.fashion\.options\.path"):
        build(Options(path=str(tmp_path / "elsewhere")))


def test_the_content_counts_and_not_how_it_is_packed(folder: Path) -> None:
    name = "train-labels-idx1-ubyte.gz"
    content = gzip.decompress((folder / name).read_bytes())
    (folder / name).write_bytes(gzip.compress(content, compresslevel=9, mtime=1))
    assert hashlib.sha256((folder / name).read_bytes()).hexdigest() != fashion.FILES[name].gzip
    assert len(build(Options(path=str(folder))).train) == sources.TRAIN


@pytest.mark.parametrize("damage", ["content", "end", "format"])
def test_other_files_are_refused(damage: str, folder: Path) -> None:
    path = folder / "t10k-images-idx3-ubyte.gz"
    packed = path.read_bytes()
    content = bytearray(gzip.decompress(packed))
    content[-1] ^= 1
    bad = {"content": gzip.compress(bytes(content)), "end": packed[:-9], "format": b"no gzip"}
    path.write_bytes(bad[damage])
    with pytest.raises(InputError, match=r"t10k-images-idx3-ubyte\.gz: "):
        build(Options(path=str(folder)))


def test_where_files_lie_and_what_looks_at_them_change_no_sample() -> None:
    given = Options(path="/somewhere", size=14).model_dump(mode="json")
    assert numeric_options("fashion", given) == {"size": 14}
    assert data_module("fashion").Options.aside == {"path", "extractor"}


@pytest.mark.parametrize("wrong", [{"size": 7}, {"extractor": "fashon"}, {"paht": "x"}])
def test_options_that_are_none_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Options.model_validate(wrong)


def at_hand() -> bool:
    """Whether the official files are on this machine: no test downloads them."""
    places = (fashion.INSTALLED, downloads.cache("fashion"))
    return any(all((place / name).is_file() for name in fashion.FILES) for place in places)


@pytest.mark.skipif(not at_hand(), reason="Fashion-MNIST is neither installed nor downloaded")
def test_the_known_digests_are_those_of_the_official_images() -> None:
    dataset = build(Options(size=14))
    assert (len(dataset.train), len(dataset.held_out)) == (60_000, 10_000)
    assert dataset.train_labels is not None
    assert dataset.train_labels.bincount().tolist() == [6000] * 10
    shrunk = {image.numpy().tobytes() for image in dataset.train}
    assert len(shrunk) == 60_000
    assert not any(image.numpy().tobytes() in shrunk for image in dataset.held_out)
