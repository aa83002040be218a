"""Fashion-MNIST: 70,000 grey 28x28 images of clothes in ten classes, 256 levels.

Source: H. Xiao, K. Rasul and R. Vollgraf, 2017, 1708.07747 (MIT licence). The held-out half is the
official test split of 10,000 images; no image is in both, nor are two reduced ones.

The four files are looked for in the folder of the option ``path``, else where the Debian package
dataset-fashion-mnist installs them, else in the user's cache, into which the official mirrors'
are downloaded. What counts is the content: Debian packs the same bytes into other gzip files.

At 14x14 a pixel is the mean of 2x2, rounded (half up) to the 256 levels of an 8-bit image, as an
image library would store it; left exact, it would have 1021 levels, which nothing that looks at
bytes could tell apart.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from bench.data.dataset import DataOptions, Description, ExtractorName
from bench.data.downloads import Remote, cache, fetch
from bench.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bench.data.dataset import DataSet

    Bytes = NDArray[np.uint8]

CLASSES = 10
SIDE = 28
INSTALLED = Path("/usr/share/datasets/fashion-mnist")
MIRRORS = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
)


@dataclass(frozen=True)
class Digests:
    """SHA-256 of an official gzip file, and of its content."""

    gzip: str
    content: str


FILES = {
    "train-images-idx3-ubyte.gz": Digests(
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    "train-labels-idx1-ubyte.gz": Digests(
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    "t10k-images-idx3-ubyte.gz": Digests(
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    "t10k-labels-idx1-ubyte.gz": Digests(
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
}
"""The files of the training half, then those of the held-out half: images, labels."""


class Options(DataOptions):
    """Where the files lie, how large the images are, and what looks at them.

    Attributes:
        path: folder of the four files.
        size: pixels a side.
        extractor: feature extractor; ``fashion`` is quicker, and trained by the workflow.
    """

    aside: ClassVar[frozenset[str]] = frozenset({"path", "extractor"})

    path: str | None = None
    size: Literal[28, 14] = 28
    extractor: ExtractorName = "efficientnet_lite0"


def describe(options: Options) -> Description:
    """Grey images of clothes."""
    return Description(
        title=f"Fashion-MNIST {options.size}x{options.size}",
        kind="image",
        shape=(1, options.size, options.size),
        primary=f"fd_{options.extractor}",
        classes=CLASSES,
        levels=256,
        extractor=options.extractor,
    )


def build(options: Options) -> DataSet:
    """Find the files, check and read them.

    Raises:
        InputError: a file is missing or is not the one known, or no mirror has it.
    """
    import torch

    from bench.data.dataset import from_uint8

    arrays = [
        read_idx(path, digests.content)
        for path, digests in zip(_files(options), FILES.values(), strict=True)
    ]
    train, held_out = (
        torch.from_numpy(reduced(images, SIDE // options.size)).unsqueeze(1)
        for images in arrays[::2]
    )
    train_labels, held_out_labels = (torch.from_numpy(labels).long() for labels in arrays[1::2])
    return from_uint8("fashion", train, held_out, train_labels, held_out_labels)


def _files(options: Options) -> list[Path]:
    if options.path is not None:
        return [Path(options.path).expanduser() / name for name in FILES]
    installed = [INSTALLED / name for name in FILES]
    if all(path.is_file() for path in installed):
        return installed
    return fetch(
        [
            Remote(name, digests.gzip, tuple(mirror + name for mirror in MIRRORS))
            for name, digests in FILES.items()
        ],
        cache("fashion"),
    )


def read_idx(path: Path, content: str) -> Bytes:
    """The bytes of a gzipped IDX file as an array of its shape.

    IDX (LeCun, MNIST): two zeros, the type (8: unsigned bytes), the number of dimensions, each of
    them as a big-endian 32-bit number, then the data.

    Args:
        path: of the file.
        content: SHA-256 of what it unpacks to.

    Raises:
        InputError: it cannot be read, or its content is another.
    """
    import numpy as np

    try:
        data = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"data set 'fashion': {path}: {error}; see datasets.fashion.options.path"
        ) from None
    digest = hashlib.sha256(data).hexdigest()
    if digest != content:
        raise InputError(
            f"data set 'fashion': {path}: its content has SHA-256 {digest}, not {content}; "
            "get the official file"
        )
    dimensions = data[3]
    start = 4 * (1 + dimensions)
    shape = np.frombuffer(data[4:start], dtype=">u4").astype(int)
    assert data[:3] == b"\0\0\x08" and len(data) == start + math.prod(shape), path
    return np.frombuffer(data, dtype=np.uint8, offset=start).reshape(shape).copy()


def reduced(images: Bytes, factor: int) -> Bytes:
    """Images ``[n, h, w]`` whose pixels are means of ``factor`` x ``factor``, rounded half up."""
    import numpy as np

    n, height, width = images.shape
    blocks = images.reshape(n, height // factor, factor, width // factor, factor)
    total = blocks.sum(axis=(2, 4), dtype=np.uint32)
    return ((2 * total + factor**2) // (2 * factor**2)).astype(np.uint8)
