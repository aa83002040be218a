"""CIFAR-10: 60,000 colour 32x32 images of animals and vehicles in ten classes, 256 levels.

Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009,
https://www.cs.toronto.edu/~kriz/cifar.html. The held-out half is the official test split of 10,000
images. Some of them are near copies of training images (Barz and Denzler, 2019, 1902.00423: 3.3%),
which floors and memorisation inherit.

The archive is the binary version: records of one label byte and 3,072 pixel bytes, which need no
unpickling. It is taken from the option ``path``, the file or its folder, else from the user's
cache, into which it is downloaded.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from bench.data.dataset import DataOptions, Description, ExtractorName
from bench.data.downloads import Remote, cache, fetch
from bench.errors import InputError
from bench.files import sha256

if TYPE_CHECKING:
    from torch import Tensor

    from bench.data.dataset import DataSet

CLASSES = 10
SHAPE = (3, 32, 32)
ARCHIVE = Remote(
    "cifar-10-binary.tar.gz",
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    (
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "https://cave.cs.toronto.edu/kriz/cifar-10-binary.tar.gz",
    ),
)
FOLDER = "cifar-10-batches-bin"
TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
HELD_OUT = ("test_batch.bin",)


class Options(DataOptions):
    """Where the archive lies, and what looks at the images.

    Attributes:
        path: the archive of the binary version, or its folder.
        extractor: feature extractor; ``cifar10`` is quicker, and trained by the workflow.
    """

    aside: ClassVar[frozenset[str]] = frozenset({"path", "extractor"})

    path: str | None = None
    extractor: ExtractorName = "efficientnet_lite0"


def describe(options: Options) -> Description:
    """Colour images of animals and vehicles."""
    return Description(
        title="CIFAR-10",
        kind="image",
        shape=SHAPE,
        primary=f"fd_{options.extractor}",
        classes=CLASSES,
        levels=256,
        extractor=options.extractor,
    )


def build(options: Options) -> DataSet:
    """Find the archive, check and read it.

    Raises:
        InputError: the archive is missing or is not the one known, or no mirror has it.
    """
    from bench.data.dataset import from_uint8

    archive = _archive(options)
    with tarfile.open(archive) as tar:
        train, train_labels = _read(tar, TRAIN)
        held_out, held_out_labels = _read(tar, HELD_OUT)
    return from_uint8("cifar10", train, held_out, train_labels, held_out_labels)


def _archive(options: Options) -> Path:
    if options.path is None:
        return fetch([ARCHIVE], cache("cifar10"))[0]
    path = Path(options.path).expanduser()
    if path.is_dir():
        path /= ARCHIVE.name
    if not path.is_file():
        remedy = f"get it from {ARCHIVE.urls[0]}"
        raise InputError(f"data set 'cifar10': {path} is no file; {remedy}")
    if (digest := sha256(path)) != ARCHIVE.sha256:
        raise InputError(
            f"data set 'cifar10': {path} has SHA-256 {digest}, not {ARCHIVE.sha256}; get the "
            f"official {ARCHIVE.name}"
        )
    return path


def _read(tar: tarfile.TarFile, names: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    """Images ``[n, 3, 32, 32]`` uint8 and labels ``[n]`` of some files of the archive."""
    import numpy as np
    import torch

    content = b""
    for name in names:
        file = tar.extractfile(f"{FOLDER}/{name}")
        assert file is not None, name
        content += file.read()
    pixels = int(np.prod(SHAPE))
    records = torch.from_numpy(np.frombuffer(content, dtype=np.uint8).copy()).reshape(
        -1, 1 + pixels
    )
    return records[:, 1:].reshape(-1, *SHAPE), records[:, 0].long()
