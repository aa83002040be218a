"""The diffusion transformer: its known sizes, and patches that go back to where they came from."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.models.architectures.dit import Options
from bench.models.networks.dit import DiT, places

CIFAR = (3, 32, 32)


def dit(shape: tuple[int, ...], **options: int) -> DiT:
    spec = Options(kind="dit", **options)
    assert spec.fault(shape) is None
    return DiT(shape, **spec.model_dump(exclude={"kind"}))


@pytest.mark.parametrize(
    ("shape", "options", "parameters"),
    [
        (CIFAR, {"width": 384, "depth": 12, "heads": 6}, 32_398_093),
        (CIFAR, {"width": 768, "depth": 12, "heads": 12}, 129_381_901),
        ((1, 14, 14), {}, 949_637),
    ],
    ids=["S", "B", "default"],
)
def test_parameters_are_those_of_the_docstring(
    shape: tuple[int, ...], options: dict[str, int], parameters: int
) -> None:
    with torch.device("meta"):
        network = dit(shape, **options)
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_every_place_has_an_embedding_of_its_own() -> None:
    found = places(4, 7, 16)
    assert found.shape == (28, 16)
    assert (torch.cdist(found, found) + torch.eye(28) > 0.1).all()
    # Neighbours in a row differ by their column alone, wherever the row is.
    torch.testing.assert_close(found[1] - found[0], found[8] - found[7])


def test_a_patch_of_the_input_moves_its_own_patch_of_the_output() -> None:
    """Without blocks no patch sees another, and its place among the pixels is kept."""
    network = dit((2, 6, 4), depth=1, width=16, heads=2)
    network.blocks = nn.ModuleList()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        nn.init.normal_(network.leave.weight, generator=generator)
        x = torch.randn(1, 2, 6, 4, generator=generator)
        moved = x.clone()
        moved[0, 0, 3, 1] += 1
        change = network(moved, torch.zeros(1, 1)) - network(x, torch.zeros(1, 1))
    rows, columns = change[0].abs().amax(0).nonzero().T
    assert set(rows.tolist()) == {2, 3}
    assert set(columns.tolist()) == {0, 1}


@pytest.mark.parametrize(
    ("shape", "options", "option"),
    [
        ((2,), {}, "kind"),
        ((1, 14, 14), {"patch": 4}, "patch"),
        ((1, 14, 14), {"heads": 3}, "heads"),
    ],
)
def test_impossible_sizes_are_refused(
    shape: tuple[int, ...], options: dict[str, int], option: str
) -> None:
    fault = Options(kind="dit", **options).fault(shape)
    assert fault is not None
    assert fault[0] == option
