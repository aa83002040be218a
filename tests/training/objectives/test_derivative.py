"""The derivative along a trajectory, and what it is charged."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch.autograd.forward_ad import dual_level, make_dual, unpack_dual
from torch.nn.functional import linear

from bench.formulations.grammar import path
from bench.models.meter import counted
from bench.models.path_model import PathModel, build_network
from bench.training.budget import Ledger
from bench.training.objectives import _derivative
from bench.training.objectives._derivative import ConstantWeights, along

WIDTH, DEPTH, BATCH = 16, 2, 32


def model(dtype: torch.dtype = torch.float32) -> PathModel:
    options = {"width": WIDTH, "depth": DEPTH, "embedding": 8}
    network = build_network("residual_mlp", (2,), options, 0, conditions=2)
    torch.nn.init.normal_(
        next(p for name, p in network.named_parameters() if name == "leave.weight"),
        generator=torch.Generator().manual_seed(0),
    )
    return PathModel(network.to(dtype), path("linear").build(), "velocity", 0.7, "interval")


def inputs(dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    x, dx = torch.randn(2, BATCH, 2, generator=generator, dtype=dtype)
    t, rest = torch.rand(2, BATCH, generator=generator, dtype=dtype)
    return x, 0.1 + 0.8 * t, dx, 0.5 * rest * (0.9 - 0.8 * t)


def test_it_is_the_slope_of_the_output_while_the_interval_keeps_its_end() -> None:
    used = model(torch.float64)
    x, t, dx, ahead = inputs(torch.float64)
    step = 1e-5

    def moved(by: float) -> torch.Tensor:
        c = used.path.coefficients(t + by)
        return used.output(x + by * dx, c, ahead - by)

    with counted(), torch.no_grad():
        output, slope = along(used, x, t, dx, ahead)
        assert torch.allclose(output, moved(0.0))
        expected = (moved(step) - moved(-step)) / (2 * step)
    assert torch.allclose(slope, expected, rtol=1e-6, atol=1e-7)


def test_only_the_output_carries_a_gradient() -> None:
    with counted():
        output, slope = along(model(), *inputs())
    assert output.requires_grad
    assert not slope.requires_grad


def test_a_product_counts_as_a_second_forward_and_its_operations_are_seen() -> None:
    used, (x, t, dx, ahead) = model(), inputs()
    ledger = Ledger()
    with ledger.step("train", "plain"):
        used.output(x, used.path.coefficients(t), ahead).square().mean().backward()
    with ledger.step("train", "product"):
        along(used, x, t, dx, ahead)[0].square().mean().backward()
    with torch.no_grad(), ledger.step("train", "forward"):
        used.output(x, used.path.coefficients(t), ahead)
    plain, product, forward = (ledger.costs[key] for key in ("plain", "product", "forward"))
    assert (plain.forwards, plain.backwards) == (BATCH, BATCH)
    assert (product.forwards, product.backwards) == (2 * BATCH, BATCH)
    assert product.flops - plain.flops == forward.flops


def test_the_operations_are_those_counted_by_hand() -> None:
    """Products of a step: output and derivative of each layer, then gradients of both factors."""
    sizes = {"told": 2 * 8 * 8, "enter": 2 * WIDTH, "leave": WIDTH * 2}
    sizes |= {"blocks": DEPTH * (WIDTH * WIDTH + 8 * WIDTH + WIDTH * WIDTH)}
    used, (x, t, dx, ahead), ledger = model(), inputs(), Ledger()
    with ledger.step("train", "step"):
        along(used, x, t, dx, ahead)[0].square().mean().backward()
    weights = sum(sizes.values())
    to_inputs = weights - sizes["told"] - sizes["enter"]  # time and state ask for no gradient
    assert ledger.costs["step"].flops == 2 * BATCH * (2 * weights + weights + to_inputs)


KINDS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "residual_mlp": ((2,), {"width": WIDTH, "depth": DEPTH, "embedding": 8}),
    "unet": ((1, 8, 8), {
        "channels": 8, "multipliers": (1, 2), "blocks": 1, "attention": (4,), "head": 8,
        "embedding": 8,
    }),
    "dit": ((1, 8, 8), {"patch": 2, "width": 16, "depth": 2, "heads": 2, "ratio": 2}),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_output_derivative_and_gradients_are_those_of_torchs_own_rule(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape, options = KINDS[kind]
    network = build_network(kind, shape, options, 0, conditions=2)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    used = PathModel(network, path("linear").build(), "velocity", 0.7, "interval")
    x, dx = torch.randn(2, BATCH, *shape, generator=generator)
    _, t, _, ahead = inputs()

    def step() -> tuple[torch.Tensor, ...]:
        network.zero_grad()
        with counted():
            output, slope = along(used, x, t, dx, ahead)
        (output - slope).square().mean().backward()
        return output, slope, *(p.grad for p in network.parameters() if p.grad is not None)

    ours = step()
    monkeypatch.setattr(_derivative, "ConstantWeights", nullcontext)
    theirs = step()
    assert len(ours) == len(theirs) == 2 + len(list(network.parameters()))
    assert ours[1].abs().max() > 0.1
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-6)


def test_weights_that_move_have_torchs_own_rule() -> None:
    generator = torch.Generator().manual_seed(3)
    x, dx = torch.randn(2, 5, 3, generator=generator)
    weight, moved = torch.randn(2, 4, 3, generator=generator)
    bias = torch.ones(4)
    with dual_level(), ConstantWeights():
        _, slope = unpack_dual(linear(make_dual(x, dx), make_dual(weight, moved), bias))
        _, shifted = unpack_dual(linear(make_dual(x, dx), weight, bias=make_dual(bias, 2 * bias)))
    assert slope is not None
    assert shifted is not None
    torch.testing.assert_close(slope, dx @ weight.T + x @ moved.T)
    torch.testing.assert_close(shifted, dx @ weight.T + 2)


def test_it_works_on_a_device() -> None:
    used = model()
    used.network.to("meta")
    with counted():
        output, slope = along(used, *(part.to("meta") for part in inputs()))
    assert output.device.type == slope.device.type == "meta"
