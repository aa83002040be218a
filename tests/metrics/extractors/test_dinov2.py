"""DINOv2: its network computed by hand from a file as the authors wrote it, and its pipeline."""

from __future__ import annotations

import dataclasses
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import conv2d, gelu, layer_norm, linear

from bench.errors import InputError
from bench.files import sha256
from bench.metrics.extractors import dinov2, published, weights_file
from bench.metrics.extractors.dinov2 import FEATURES, PATCH, SIZE, DINOv2, positions, resized
from bench.streams import stream

DEPTH, HEADS = 12, 12
GRID = 37


def weights() -> dict[str, Tensor]:
    """Random weights under the names and in the shapes of the authors' file.

    Blocks share their matrices, which the file then holds once: 30 MB in place of 346.
    """
    generator = stream("dinov2", "weights")

    def draw(*shape: int, scale: float = 1.0) -> Tensor:
        return scale * torch.randn(shape, generator=generator)

    def matrix(out: int, into: int) -> Tensor:
        return draw(out, into, scale=1 / math.sqrt(into))

    d = FEATURES
    matrices = {
        "attn.qkv": matrix(3 * d, d),
        "attn.proj": matrix(d, d),
        "mlp.fc1": matrix(4 * d, d),
        "mlp.fc2": matrix(d, 4 * d),
    }
    state = {
        "cls_token": draw(1, 1, d),
        "pos_embed": draw(1, 1 + GRID**2, d),
        "mask_token": draw(1, d),
        "patch_embed.proj.weight": matrix(d, 3 * PATCH**2).reshape(d, 3, PATCH, PATCH),
        "patch_embed.proj.bias": draw(d),
        "norm.weight": draw(d),
        "norm.bias": draw(d),
    }
    for index in range(DEPTH):
        block = f"blocks.{index}"
        for name, shared in matrices.items():
            state[f"{block}.{name}.weight"] = shared
            state[f"{block}.{name}.bias"] = draw(len(shared))
        for name in ("norm1", "norm2"):
            state[f"{block}.{name}.weight"] = draw(d)
            state[f"{block}.{name}.bias"] = draw(d)
        for name in ("ls1", "ls2"):
            state[f"{block}.{name}.gamma"] = draw(d, scale=0.3)
    return state


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dinov2") / dinov2.WEIGHTS.file
    torch.save(weights(), path)
    return path


def by_hand(state: dict[str, Tensor], images: Tensor) -> Tensor:
    """Class tokens ``[n, 768]`` of images ``[n, 3, 224, 224]``, in float64."""
    p = {name: value.double() for name, value in state.items()}

    def affine(name: str, x: Tensor) -> Tensor:
        return linear(x, p[f"{name}.weight"], p[f"{name}.bias"])

    def norm(name: str, x: Tensor) -> Tensor:
        return layer_norm(x, (FEATURES,), p[f"{name}.weight"], p[f"{name}.bias"], eps=1e-6)

    mean, deviation = (
        torch.tensor(numbers, dtype=torch.float64).reshape(3, 1, 1)
        for numbers in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    pixels = (images.double() / 255 - mean) / deviation
    patches = conv2d(pixels, p["patch_embed.proj.weight"], p["patch_embed.proj.bias"], stride=PATCH)
    tokens = patches.flatten(2).transpose(1, 2)
    n = len(images)
    x = torch.cat([p["cls_token"].expand(n, -1, -1), tokens], dim=1) + positions(p["pos_embed"])
    for index in range(DEPTH):
        block = f"blocks.{index}"
        split = affine(f"{block}.attn.qkv", norm(f"{block}.norm1", x))
        q, k, v = split.reshape(n, -1, 3, HEADS, FEATURES // HEADS).permute(2, 0, 3, 1, 4)
        seen = (q @ k.transpose(2, 3) / math.sqrt(FEATURES // HEADS)).softmax(dim=-1) @ v
        attended = affine(f"{block}.attn.proj", seen.transpose(1, 2).reshape(n, -1, FEATURES))
        x = x + p[f"{block}.ls1.gamma"] * attended
        hidden = gelu(affine(f"{block}.mlp.fc1", norm(f"{block}.norm2", x)))
        x = x + p[f"{block}.ls2.gamma"] * affine(f"{block}.mlp.fc2", hidden)
    return norm("norm", x)[:, 0]


def test_a_file_of_the_authors_form_is_the_network_computed_by_hand(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("timm", reason="pip install '.[dinov2]'")
    known = dataclasses.replace(dinov2.WEIGHTS, digest=sha256(file))
    monkeypatch.setattr(dinov2, "WEIGHTS", known)
    found = weights_file("dinov2", str(file))
    assert found == file
    state = published(file)
    before = torch.random.get_rng_state()
    network = DINOv2.restored(state)
    assert torch.equal(torch.random.get_rng_state(), before), "drew from torch's global stream"
    assert not any(weight.is_meta or weight.requires_grad for weight in network.parameters())
    shape = (1, 3, SIZE, SIZE)
    images = torch.randint(0, 256, shape, generator=stream("dinov2", "images")).to(torch.uint8)
    features = network.features(images)
    assert features.shape == (1, FEATURES)
    torch.testing.assert_close(features.double(), by_hand(state, images), rtol=1e-3, atol=1e-3)


def test_another_file_is_refused(file: Path) -> None:
    with pytest.raises(InputError, match=r"is not that of 'dinov2'; get dinov2_vitb14_pretrain"):
        weights_file("dinov2", str(file))


def test_a_missing_package_is_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match="install the package timm"):
        DINOv2.restored({})


def keys(x: Tensor, a: float = -0.75) -> Tensor:
    """Kernel of cubic convolution."""
    x = x.abs()
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * (x**3 - 5 * x**2 + 8 * x - 4)
    return torch.where(x <= 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


def test_positions_are_taken_where_the_authors_take_them() -> None:
    """Patch i, inside, lies at (i + 1/2) 37/16.1 - 1/2, between its four neighbours a direction.

    They have the weights of cubic convolution (Keys 1981) with a = -3/4.
    """
    rows, columns = torch.meshgrid(torch.arange(GRID), torch.arange(GRID), indexing="ij")
    grid = torch.zeros(GRID, GRID, FEATURES, dtype=torch.float64)
    grid[..., 0], grid[..., 1] = rows, columns
    token = torch.full((1, 1, FEATURES), 7.0, dtype=torch.float64)
    found = positions(torch.cat([token, grid.reshape(1, -1, FEATURES)], dim=1))
    assert found.shape == (1, 1 + 16**2, FEATURES)
    assert torch.equal(found[:, :1], token)
    exact = (torch.arange(16, dtype=torch.float64) + 0.5) * GRID / 16.1 - 0.5
    places = torch.stack([sum(keys(x - k) * k for k in range(-5, GRID + 5)) for x in exact])
    patches = found[0, 1:].reshape(16, 16, FEATURES)
    inside = slice(1, 15)
    expected = torch.meshgrid(places[inside], places[inside], indexing="ij")
    for feature in (0, 1):
        torch.testing.assert_close(patches[inside, inside, feature], expected[feature])


@pytest.mark.parametrize("shape", [(14, 14), (28, 28), (32, 32), (300, 260)])
def test_images_are_resized_by_pillow(shape: tuple[int, int]) -> None:
    generator = stream("dinov2", *shape)
    image = torch.randint(0, 256, (*shape, 3), generator=generator).to(torch.uint8)
    filtered = Image.fromarray(image.numpy()).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    theirs = torch.from_numpy(np.array(filtered)).permute(2, 0, 1).float()
    ours = resized(torch.stack([image.permute(2, 0, 1)] * 2))
    assert ours.dtype == torch.float32
    assert torch.equal(ours, torch.stack([theirs] * 2))
