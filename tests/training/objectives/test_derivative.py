"""The derivative along a trajectory, and what it is charged."""

from __future__ import annotations

import torch

from bench.formulations.grammar import path
from bench.models.meter import counted
from bench.models.path_model import PathModel, build_network
from bench.training.budget import Ledger
from bench.training.objectives._derivative import along

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
    # torch multiplies the tangent by the weights, and the state by the weights' tangent, which is
    # zero: both are executed and counted.
    assert product.flops - plain.flops == 2 * forward.flops
