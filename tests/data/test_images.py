"""Images of the user's own: folders and arrays, what they become, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from bench.data.dataset import DataSet
from bench.data.sources.images import Options, build, describe
from bench.errors import InputError
from tests import sources


def options(path: Path, **more: Any) -> Options:
    return Options(**{"path": str(path), "size": 16, "extractor": "cifar10", **more})


def everything(dataset: DataSet) -> dict[bytes, int | None]:
    """Every image's bytes ``[h, w, c]`` with its class."""
    found: dict[bytes, int | None] = {}
    for samples, labels in (
        (dataset.train, dataset.train_labels),
        (dataset.held_out, dataset.held_out_labels),
    ):
        pixels = dataset.to_levels(samples).byte().permute(0, 2, 3, 1).numpy()
        classes = [None] * len(samples) if labels is None else labels.tolist()
        found |= {image.tobytes(): label for image, label in zip(pixels, classes, strict=True)}
    return found


def tree(folder: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
    """Write images ``[n, h, w, c]`` as files, a folder a class."""
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        file = folder / f"class {label}" / f"{index:03}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(file)


@pytest.fixture
def images() -> NDArray[np.uint8]:
    return sources.pictures(40, 16, 3, 5)[0].transpose(0, 2, 3, 1)


@pytest.fixture
def labels() -> NDArray[np.uint8]:
    return sources.pictures(40, 16, 3, 5)[1]


def test_a_folder_and_an_array_are_the_same_data(
    images: NDArray[np.uint8], labels: NDArray[np.uint8], tmp_path: Path
) -> None:
    np.savez(tmp_path / "x.npz", images=images, labels=labels)
    (tmp_path / "tree").mkdir()
    tree(tmp_path / "tree", images, labels)
    expected = {i.tobytes(): int(c) for i, c in zip(images, labels, strict=True)}
    for path in (tmp_path / "x.npz", tmp_path / "tree"):
        labelled = build(options(path, classes=10, held_out=0.25))
        assert (len(labelled.train), len(labelled.held_out)) == (30, 10)
        assert everything(labelled) == expected
        assert everything(build(options(path))) == dict.fromkeys(expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_and_colour_become_what_is_asked_for(
    channels: int, images: NDArray[np.uint8], tmp_path: Path
) -> None:
    for name, given in (("grey", images[..., 0]), ("one", images[..., :1]), ("three", images)):
        np.savez(tmp_path / f"{name}.npz", images=given)
        asked = options(tmp_path / f"{name}.npz", channels=channels)
        dataset = build(asked)
        assert dataset.shape == describe(asked).shape == (channels, 16, 16)
        assert dataset.to_uint8(dataset.train).shape[1] == 3


def test_images_are_cropped_to_a_square_and_averaged(tmp_path: Path) -> None:
    wide = np.zeros((2, 8, 16, 3), dtype=np.uint8)
    wide[:, :, 4:12] = 100
    wide[:, ::2, 4:12] = 200
    wide[1] //= 2
    np.savez(tmp_path / "x.npz", images=wide)
    dataset = build(options(tmp_path / "x.npz", size=4, held_out=0.5))
    pixels = dataset.to_levels(torch.cat([dataset.train, dataset.held_out]))
    assert sorted(pixels.flatten(1).unique(dim=1).flatten().tolist()) == [75, 150]


def test_equal_images_are_kept_once_and_the_content_can_be_pinned(
    images: NDArray[np.uint8], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, images=np.concatenate([images, images[:7]]))
    dataset = build(options(path))
    assert len(dataset.train) + len(dataset.held_out) == 40
    said = capsys.readouterr().err
    assert "40 images, 7 equal ones left out" in said
    digest = re.findall(r"SHA-256 (\w{64})", said)[0]
    again = build(options(path, sha256=digest))
    assert torch.equal(again.train, dataset.train)
    images[3, 0, 0, 0] ^= 1
    np.savez(path, images=images)
    with pytest.raises(InputError, match=f"not {digest}; see datasets.images.options.sha256"):
        build(options(path, sha256=digest))


@pytest.mark.parametrize(
    ("arrays", "more", "message"),
    [
        ({}, {}, "needs an array 'images'"),
        ({"images": np.zeros((4, 8, 8))}, {}, "needs an array 'images'"),
        ({"images": np.zeros((4, 8, 8, 4), np.uint8)}, {}, "'images' has 4 channels"),
        ({"images": np.zeros((4, 8, 8), np.uint8)}, {}, "holds 1 images"),
        ({"images": np.zeros((4, 8, 8), np.uint8)}, {"classes": 2}, "needs an array 'labels'"),
        (
            {"images": np.zeros((4, 8, 8), np.uint8), "labels": np.arange(4)},
            {"classes": 3},
            "needs an array 'labels' of \\[N\\] integers below 3",
        ),
        ({"images": np.array([{}], dtype=object)}, {}, "allow_pickle"),
        ({"images": np.eye(64, dtype=np.uint8).reshape(-1, 8, 8)}, {"held_out": 0.001}, "held_out"),
    ],
)
def test_arrays_that_are_none_are_refused(
    arrays: dict[str, Any], more: dict[str, Any], message: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(InputError, match=message):
        build(options(tmp_path / "x.npz", **more))


def test_folders_that_are_none_are_refused(
    images: NDArray[np.uint8], labels: NDArray[np.uint8], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="is no folder"):
        build(options(tmp_path / "absent"))
    with pytest.raises(InputError, match="holds 0 images"):
        build(options(tmp_path))
    tree(tmp_path, images, labels)
    with pytest.raises(InputError, match="has 10 folders of images, not 3 classes"):
        build(options(tmp_path, classes=3))
    (tmp_path / "class 0" / "broken.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"broken\.png: cannot identify"):
        build(options(tmp_path))


@pytest.mark.parametrize(
    "wrong",
    [{"size": 2}, {"channels": 4}, {"sha256": "0"}, {"held_out": 1.0}, {"extractor": "none"}],
)
def test_options_that_are_none_are_refused(wrong: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValidationError):
        options(tmp_path, **wrong)


def test_a_cut_archive_and_deep_images_are_refused(
    images: NDArray[np.uint8], tmp_path: Path
) -> None:
    np.savez(tmp_path / "x.npz", images=images)
    whole = (tmp_path / "x.npz").read_bytes()
    for length in (100, len(whole) // 2):
        (tmp_path / "x.npz").write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"x\.npz: \S"):
            build(options(tmp_path / "x.npz"))
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(InputError, match=r"deep\.png: has more than 8 bits a channel"):
        build(options(tmp_path))


def test_an_image_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    upright = np.zeros((8, 8), np.uint8)
    upright[:4] = 200
    exif = Image.Exif()
    exif[274] = 3  # upside down
    Image.fromarray(upright).save(tmp_path / "a.png")
    Image.fromarray(255 - upright[::-1]).save(tmp_path / "b.png", exif=exif)
    dataset = build(options(tmp_path, channels=1, size=8, held_out=0.5))
    first, second = dataset.to_levels(torch.cat([dataset.train, dataset.held_out]))
    assert torch.equal(first + second, torch.full_like(first, 255))
