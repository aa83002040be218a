"""Data sets for tests: those that ship with the packages, and files of the others' real formats.

The files hold made-up pictures, a shape a class. While :func:`at_hand` lasts they are the known
ones: their digests stand in for those of the official files, which no test downloads.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from bench.data.dataset import DataSet, Description, data_module, described
from bench.data.sources import cifar10, fashion
from bench.experiment.measuring import ExtractorSpec
from bench.files import sha256

CLASSES = 10
TRAIN, HELD_OUT = 1200, 320
SOURCE = 1720
"""Pictures of the data set ``images``, of which 1,204 are for training."""

SHORT = ExtractorSpec(epochs=3, batch_size=40)
"""How an extractor of made-up pictures is trained: they are easily told apart."""

IMAGES = {"size": 16, "channels": 3, "classes": CLASSES, "held_out": 0.3, "extractor": "cifar10"}
LETTERS = ExtractorSpec(epochs=4, batch_size=64)
"""How an extractor of letters is trained: there are thousands."""

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "fashion": {"extractor": "fashion"},
    "cifar10": {"extractor": "cifar10"},
    "images": {"path": "unread.npz", **IMAGES},
}
"""Options of data sets of real images, for their description: extractors that take no time."""


def description(name: str, **options: Any) -> Description:
    """What a data set of :func:`build` declares."""
    return described(name, {**OPTIONS.get(name, {}), **options})


def extractor_settings(name: str) -> ExtractorSpec:
    """How the extractor of a data set of :func:`build` is trained."""
    if name == "letters":
        return LETTERS
    return SHORT if name in ("fashion", "cifar10", "images") else ExtractorSpec()


def build(name: str, **options: Any) -> DataSet:
    """The data set ``name``, its files written for it."""
    with at_hand(name) as given:
        module = data_module(name)
        dataset: DataSet = module.build(module.Options(**{**given, **options}))
    return dataset


@contextmanager
def at_hand(name: str) -> Iterator[dict[str, Any]]:
    """Options under which ``name`` can be built."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        if name == "fashion":
            with patch.object(fashion, "FILES", fashion_files(path)):
                yield {"path": folder}
        elif name == "cifar10":
            known = replace(cifar10.ARCHIVE, sha256=cifar_archive(path))
            with patch.object(cifar10, "ARCHIVE", known):
                yield {"path": folder}
        elif name == "images":
            yield {"path": str(arrays(path)), **IMAGES}
        elif name == "letters":
            yield {"held_out": 4000}
        else:
            yield {}


def pictures(
    count: int, side: int, channels: int, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pictures ``[count, channels, side, side]`` and their classes: a noisy pattern a class."""
    patterns = np.random.default_rng(0).random((CLASSES, channels, 4, 4))
    patterns = patterns.repeat(side // 4, axis=2).repeat(side // 4, axis=3)
    generator = np.random.default_rng(seed)
    labels = (np.arange(count) % CLASSES).astype(np.uint8)
    noise = generator.normal(size=(count, channels, side, side))
    brightness = generator.normal(size=(count, 1, 1, 1))
    pixels = 255 * patterns[labels] + 25 * noise + 20 * brightness
    return pixels.clip(0, 255).round().astype(np.uint8), labels


def halves(side: int, channels: int) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Pictures and classes of the training half and of the held-out half."""
    return [pictures(n, side, channels, seed) for seed, n in ((1, TRAIN), (2, HELD_OUT))]


def assert_read(dataset: DataSet, side: int, channels: int) -> None:
    """Images and labels are those of :func:`halves`, in their order."""
    for (images, labels), samples, classes in zip(
        halves(side, channels),
        (dataset.train, dataset.held_out),
        (dataset.train_labels, dataset.held_out_labels),
        strict=True,
    ):
        assert np.array_equal(dataset.to_uint8(samples)[:, :channels].numpy(), images)
        assert classes is not None
        assert np.array_equal(classes.numpy(), labels)


def fashion_files(folder: Path) -> dict[str, fashion.Digests]:
    """Write the four files of Fashion-MNIST and return their digests."""
    arrays = [array for images, labels in halves(28, 1) for array in (images[:, 0], labels)]
    known = {}
    for name, array in zip(fashion.FILES, arrays, strict=True):
        content = idx(array)
        packed = gzip.compress(content, compresslevel=1, mtime=0)
        (folder / name).write_bytes(packed)
        digests = (hashlib.sha256(data).hexdigest() for data in (packed, content))
        known[name] = fashion.Digests(*digests)
    return known


def idx(array: NDArray[np.uint8]) -> bytes:
    """An array of bytes in the IDX format."""
    shape = np.array(array.shape, dtype=">u4").tobytes()
    return bytes([0, 0, 8, array.ndim]) + shape + array.tobytes()


def cifar_archive(folder: Path) -> str:
    """Write the archive of CIFAR-10's binary version and return its SHA-256."""
    (train, train_labels), (test, test_labels) = halves(32, 3)
    parts = zip(np.split(train, 5), np.split(train_labels, 5), strict=True)
    batches = dict(zip(cifar10.TRAIN, parts, strict=True))
    batches[cifar10.HELD_OUT[0]] = (test, test_labels)
    path = folder / cifar10.ARCHIVE.name
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for name, (images, labels) in batches.items():
            flat = images.reshape(len(images), -1)
            content = np.concatenate([labels[:, None], flat], axis=1).tobytes()
            member = tarfile.TarInfo(f"{cifar10.FOLDER}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return sha256(path)


def arrays(folder: Path) -> Path:
    """Write colour pictures and their classes as an ``.npz``."""
    images, labels = pictures(SOURCE, 16, 3, 3)
    path = folder / "pictures.npz"
    np.savez(path, images=images.transpose(0, 2, 3, 1), labels=labels)
    return path
