"""The U-Net: its known sizes, its attention, and images that cannot be halved evenly."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from bench.models.architectures.unet import Options
from bench.models.networks._base import attend
from bench.models.networks.unet import Attention, UNet

CIFAR, SMALL, FASHION = (3, 32, 32), (1, 14, 14), (1, 28, 28)
DDPM = {"channels": 128, "multipliers": (1, 2, 2, 2), "blocks": 2, "embedding": 256}
EDM = {"channels": 128, "multipliers": (2, 2, 2), "blocks": 4, "embedding": 400}


def unet(shape: tuple[int, ...], **options: object) -> UNet:
    spec = Options.model_validate({"kind": "unet"} | options)
    assert spec.fault(shape) is None
    return UNet(shape, **spec.model_dump(exclude={"kind"}))


@pytest.mark.parametrize(
    ("shape", "options", "parameters", "known"),
    [
        (CIFAR, DDPM | {"attention": (16,), "head": 64}, 35_505_284, 35.7e6),
        (CIFAR, EDM | {"attention": (16,), "head": 64}, 55_638_196, 55.7e6),
        (SMALL, {}, 1_145_154, 1.1e6),
        (SMALL, {"channels": 16, "multipliers": (1, 2, 4), "attention": (7,)}, 758_594, 0.8e6),
        (
            FASHION,
            {"channels": 64, "multipliers": (1, 2, 2), "blocks": 2, "attention": (7,)},
            6_414_274,
            6.4e6,
        ),
    ],
    ids=["DDPM", "EDM", "default", "small", "fashion"],
)
def test_parameters_are_those_of_the_docstring(
    shape: tuple[int, ...], options: dict[str, object], parameters: int, known: float
) -> None:
    with torch.device("meta"):
        network = unet(shape, **options)
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert parameters == pytest.approx(known, rel=0.06)


def qkv() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(2, 3, 5, 4, generator=generator) for _ in range(3))  # [b, heads, n, d]


def test_attention_with_a_derivative_is_attention() -> None:
    query, key, value = qkv()
    fused = functional.scaled_dot_product_attention(query, key, value)
    plain, _ = torch.func.jvp(lambda q: attend(q, key, value), (query,), (torch.ones_like(query),))
    torch.testing.assert_close(attend(query, key, value), fused)
    torch.testing.assert_close(plain, fused)


def test_attention_mixes_positions_and_keeps_their_order() -> None:
    """With keys of zero every position receives the mean; alone, each position its own value."""
    layer = Attention(8, 4)
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(2, 8, 3, 5, generator=generator)
    with torch.no_grad():
        layer.enter.weight.zero_()
        layer.enter.bias.zero_()
        layer.enter.weight[16:, :, 0, 0] = torch.eye(8)
        layer.leave.weight[:, :, 0, 0] = torch.eye(8)
        layer.leave.bias.zero_()
        mean = layer.norm(h).mean(dim=(2, 3), keepdim=True)
        torch.testing.assert_close(layer(h), (h + mean) * 0.5**0.5)


@pytest.mark.parametrize("shape", [(1, 7, 7), (2, 7, 12), (3, 14, 14), (1, 5, 9)], ids=str)
def test_odd_sides_come_back(shape: tuple[int, ...]) -> None:
    options = {"channels": 8, "multipliers": (1, 1, 2), "head": 8, "embedding": 16}
    with torch.no_grad():
        assert unet(shape, **options)(torch.zeros(2, *shape), torch.zeros(2, 1)).shape[1:] == shape


@pytest.mark.parametrize(
    ("shape", "options", "option", "told"),
    [
        ((2,), {}, "kind", "for images"),
        ((1, 8, 8), {"multipliers": (1,) * 6}, "multipliers", "4 resolutions"),
        ((1, 14, 14), {"attention": (16,)}, "attention", "they have 14, 7, 4"),
        ((1, 14, 14), {"head": 48}, "head", "divisor of 64"),
        ((1, 14, 14), {"head": 64, "attention": (14,)}, "head", "divisor of 32"),
    ],
)
def test_impossible_sizes_are_refused(
    shape: tuple[int, ...], options: dict[str, object], option: str, told: str
) -> None:
    fault = Options.model_validate({"kind": "unet"} | options).fault(shape)
    assert fault is not None
    assert fault[0] == option
    assert told in fault[1]
