"""Images of one's own: a folder of image files, or an ``.npz`` of arrays.

A folder is searched for files that Pillow reads, in the order of their paths; with ``classes`` the
first folder of a path is the class, in the order of the names. An ``.npz`` holds ``images``
(``[N, H, W]`` or ``[N, H, W, C]`` uint8) and, with ``classes``, ``labels`` (``[N]``, from 0).

An image is turned as its EXIF data say, cropped to a centred square and resized by area averaging.
Of equal images only the first is kept, so that no held-out image was trained on. The rest is split
by one keyed permutation.

What was read is known by its content: ``prepare`` prints the SHA-256 of pixels and labels, and the
option ``sha256`` refuses anything else. Without it, a folder whose files change keeps its name, and
results made from it stand; the samples that they were made from are kept with them.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal
from zipfile import BadZipFile

from pydantic import Field

from bench.data.dataset import DataOptions, Description, ExtractorName
from bench.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from bench.data.dataset import DataSet

    Bytes = NDArray[np.uint8]

ARRAYS = ".npz"


class Options(DataOptions):
    """Where the images lie, and how they are read.

    Attributes:
        path: a folder of image files, or an ``.npz``.
        size: pixels a side.
        channels: 1 for grey, 3 for colour.
        classes: number of classes; None reads no labels.
        held_out: share of the images that is not trained on.
        sha256: of pixels and labels, as ``prepare`` prints it; None accepts any.
        title: the name printed in tables and figures.
        extractor: feature extractor; one that the workflow trains needs ``classes``.
    """

    aside: ClassVar[frozenset[str]] = frozenset({"title", "extractor"})

    path: str
    size: int = Field(ge=4)
    channels: Literal[1, 3] = 3
    classes: int | None = Field(default=None, ge=2)
    held_out: float = Field(default=0.1, gt=0, lt=1)
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    title: str = "Images"
    extractor: ExtractorName = "efficientnet_lite0"


def describe(options: Options) -> Description:
    """Images of the user's own."""
    return Description(
        title=f"{options.title} {options.size}x{options.size}",
        kind="image",
        shape=(options.channels, options.size, options.size),
        primary=f"fd_{options.extractor}",
        classes=options.classes,
        levels=256,
        extractor=options.extractor,
    )


def build(options: Options) -> DataSet:
    """Read the images, check and split them.

    Raises:
        InputError: there are none, they or their labels are not as described, or their content is
            not that of ``sha256``.
    """
    import numpy as np
    import torch

    from bench.data.dataset import from_uint8
    from bench.streams import stream

    path = Path(options.path).expanduser()
    by_content: dict[bytes, tuple[Bytes, int]] = {}
    count = 0
    for image, label in (_arrays if path.suffix == ARRAYS else _files)(path, options):
        by_content.setdefault(image.tobytes(), (image, label))
        count += 1
    entries = list(by_content.values())
    if len(entries) < 2:
        raise _bad(f"{path} holds {len(entries)} images; give a folder of image files or an .npz")
    pixels = np.stack([image for image, _ in entries])
    labels = np.array([label for _, label in entries], dtype=np.int64)
    digest = hashlib.sha256(pixels.tobytes() + labels.astype("<i8").tobytes()).hexdigest()
    said = f"{len(entries)} images, {count - len(entries)} equal ones left out, SHA-256 {digest}"
    print(f"{path}: {said}", file=sys.stderr)
    if options.sha256 not in (None, digest):
        raise _bad(f"{path}: {said}, not {options.sha256}; see datasets.images.options.sha256")
    held_out = round(options.held_out * len(entries))
    if not 0 < held_out < len(entries):
        remedy = f"{options.held_out} of {len(entries)} images leaves a half empty"
        raise _bad(f"datasets.images.options.held_out: {remedy}")
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    order = torch.randperm(len(entries), generator=stream("images", "split"))
    halves = order[held_out:], order[:held_out]
    classes = None if options.classes is None else torch.from_numpy(labels)
    shares = [None if classes is None else classes[half] for half in halves]
    return from_uint8("images", images[halves[0]], images[halves[1]], *shares)


def _files(folder: Path, options: Options) -> Iterator[tuple[Bytes, int]]:
    """Pixels ``[size, size, channels]`` and class of each image file below a folder."""
    from PIL import Image, ImageOps

    if not folder.is_dir():
        raise _bad(f"{folder} is no folder; see datasets.images.options.path")
    readable = Image.registered_extensions()
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in readable)
    tops = [file.relative_to(folder).parts[0] for file in files]
    labels = {name: label for label, name in enumerate(sorted(set(tops)))}
    if options.classes is not None and len(labels) != options.classes:
        raise _bad(f"{folder} has {len(labels)} folders of images, not {options.classes} classes")
    for file, top in zip(files, tops, strict=True):
        try:
            with Image.open(file) as image:
                if image.mode.startswith(("I", "F")):
                    raise _bad(f"{file}: has more than 8 bits a channel; convert it to 8")
                pixels = _square(ImageOps.exif_transpose(image), options)
        except OSError as error:
            raise _bad(f"{file}: {error}; remove it") from None
        yield pixels, labels[top]


def _arrays(file: Path, options: Options) -> Iterator[tuple[Bytes, int]]:
    """Pixels ``[size, size, channels]`` and class of each image of an ``.npz``."""
    import numpy as np
    from PIL import Image

    try:
        with np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise _bad(f"{file}: {error}") from None
    images = arrays.get("images")
    if images is None or images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise _bad(f"{file}: needs an array 'images' of [N, H, W] or [N, H, W, C] uint8")
    if images.ndim == 4 and images.shape[-1] not in (1, 3):
        raise _bad(f"{file}: 'images' has {images.shape[-1]} channels; give 1 or 3")
    labels = np.zeros(len(images), dtype=np.int64)
    if options.classes is not None:
        labels = arrays.get("labels", np.array([]))
        is_labelled = np.issubdtype(labels.dtype, np.integer) and labels.shape == (len(images),)
        if not is_labelled or not set(np.unique(labels)) <= set(range(options.classes)):
            raise _bad(f"{file}: needs an array 'labels' of [N] integers below {options.classes}")
    for pixels, label in zip(images, labels, strict=True):
        flat = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels
        yield _square(Image.fromarray(flat), options), int(label)


def _square(image: Image.Image, options: Options) -> Bytes:
    """``[size, size, channels]``: the centred square, resized by area averaging."""
    import numpy as np
    from PIL import Image, ImageOps

    drawn = image.convert("L" if options.channels == 1 else "RGB")
    fitted = ImageOps.fit(drawn, (options.size, options.size), method=Image.Resampling.BOX)
    return np.asarray(fitted).reshape(options.size, options.size, options.channels)


def _bad(message: str) -> InputError:
    return InputError(f"data set 'images': {message}")
