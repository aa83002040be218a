"""Every network: silent at first, then told of position, time and class; smooth, and alone."""

from __future__ import annotations

import inspect
from importlib import import_module

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from bench.formulations.grammar import path
from bench.models.architectures import NetworkSpec, declared
from bench.models.meter import counted
from bench.models.path_model import PathModel, build_network
from bench.registry import discover
from bench.training.flops import counter
from bench.training.objectives._derivative import along

NETWORKS = discover("networks")
CLASSES = 3
SMALL = {
    "residual_mlp": {"width": 32, "depth": 2, "embedding": 16},
    "unet": {"channels": 8, "multipliers": (1, 2), "head": 8, "embedding": 16},
    "dit": {"patch": 2, "width": 16, "depth": 2, "heads": 2},
}
"""Options of a network that is quick to try; a network without an entry is tried as it is."""

SHAPES = [(1, 8, 8), (1, 14, 14), (3, 28, 28), (3, 32, 32)]


def spec(kind: str, shape: tuple[int, ...]) -> NetworkSpec:
    """The small network of a kind; a U-Net has attention at each height but the first."""
    heights = {"attention": (shape[1] // 2,)} if kind == "unet" else {}
    found = declared(kind).model_validate({"kind": kind} | SMALL.get(kind, {}) | heights)
    assert found.fault(shape) is None
    return found


def build(
    kind: str, shape: tuple[int, ...] = (1, 14, 14), seed: int = 0, **others: int
) -> nn.Module:
    """The small network of a kind, as a stage builds it."""
    options = spec(kind, shape).model_dump(exclude={"kind"})
    return build_network(kind, shape, options, seed, **others)


def awakened(kind: str) -> nn.Module:
    """A network with two numbers of time and with classes, as it is after some training."""
    network = build(kind, conditions=2, classes=CLASSES).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    return network


@pytest.fixture(params=NETWORKS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def awake(kind: str) -> nn.Module:
    return awakened(kind)


def given(count: int = 4, side: int = 14) -> tuple[Tensor, Tensor, Tensor]:
    """States, times and classes."""
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(count, 1, side, side, generator=generator)
    told = torch.rand(count, 2, generator=generator) * 2 - 1
    return x, told, torch.arange(count) % CLASSES


def test_every_network_is_declared() -> None:
    assert discover("architectures") == NETWORKS


def test_declared_options_are_those_of_the_network(kind: str) -> None:
    taken = inspect.signature(import_module(f"bench.models.networks.{kind}").build).parameters
    defaults = declared(kind).model_validate({"kind": kind}).model_dump(exclude={"kind"})
    assert set(taken) == {"shape", "conditions", "classes", *defaults}
    for name, value in defaults.items():
        assert taken[name].default in (inspect.Parameter.empty, value)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_an_untrained_network_outputs_zero(kind: str, shape: tuple[int, ...]) -> None:
    network = build(kind, shape)
    with torch.no_grad():
        output = network(torch.randn(2, *shape), torch.zeros(2, 1))
    assert output.shape == (2, *shape)
    assert (output == 0).all()


def test_weights_depend_on_the_seed_alone(kind: str) -> None:
    first, _, again, other = (build(kind, seed=seed).state_dict() for seed in (3, 4, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_gradients_reach_every_parameter_within_three_updates(kind: str) -> None:
    """Zero layers stand in front of each other: every update opens one more."""
    network = build(kind, conditions=2, classes=CLASSES)
    x, told, label = given(CLASSES + 1)
    label = torch.arange(CLASSES + 1)
    reached: set[str] = set()
    for _ in range(3):
        functional.mse_loss(network(x, told, label), x).backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None
            if (parameter.grad != 0).any():
                reached.add(name)
            with torch.no_grad():
                parameter.sub_(parameter.grad, alpha=0.1)
            parameter.grad = None
    assert reached == {name for name, _ in network.named_parameters()}


def test_state_times_and_class_reach_the_output(awake: nn.Module) -> None:
    x, told, label = given()
    with torch.no_grad():
        plain = awake(x, told, label)
        changes = [
            awake(x.flip(0), told, label),
            awake(x, told + torch.tensor([0.3, 0.0]), label),
            awake(x, told + torch.tensor([0.0, 0.3]), label),
            awake(x, told, (label + 1) % CLASSES),
            awake(x, told, None),
        ]
        null = awake(x, told, torch.full_like(label, CLASSES))
    for changed in changes:
        moved = (changed - plain).flatten(1).norm(dim=1) / plain.flatten(1).norm(dim=1)
        assert (moved > 1e-3).all()
    torch.testing.assert_close(changes[-1], null)


def test_a_sample_does_not_see_the_others(awake: nn.Module) -> None:
    x, told, label = given()
    for training in (True, False):
        awake.train(training)
        with torch.no_grad():
            together = awake(x, told, label)
            alone = torch.cat(
                [awake(x[i : i + 1], told[i : i + 1], label[i : i + 1]) for i in range(4)]
            )
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_forward_derivatives_are_those_of_differences(awake: nn.Module) -> None:
    awake.double()
    x, told, label = given()
    x, told = x.double(), told.double()
    dx, dt, step = torch.ones_like(x), torch.tensor([1.0, -1.0]).expand(4, 2).double(), 1e-5
    _, slope = torch.func.jvp(lambda x, told: awake(x, told, label), (x, told), (dx, dt))
    with torch.no_grad():
        ahead = awake(x + step * dx, told + step * dt, label)
        behind = awake(x - step * dx, told - step * dt, label)
    torch.testing.assert_close(slope, (ahead - behind) / (2 * step), rtol=1e-5, atol=1e-6)


def test_an_output_with_a_derivative_has_the_gradient_of_one_without(awake: nn.Module) -> None:
    x, told, label = given()
    gradients = []
    for differentiated in (False, True):
        awake.zero_grad()
        output = awake(x, told, label)
        if differentiated:
            output, _ = torch.func.jvp(lambda x: awake(x, told, label), (x,), (torch.ones_like(x),))
        output.square().mean().backward()
        gradients.append([p.grad.clone() for p in awake.parameters() if p.grad is not None])
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-5)


LAYERS = ("addmm", "mm", "convolution")
"""What torch calls products of a layer's input and its weights; all others are of two inputs."""


def products(model: PathModel, derivative: bool) -> tuple[int, int]:
    """Operations of layers and of products of two inputs, in an output without or with its own."""
    x, told, _ = given()
    t, ahead = 0.5 + 0.2 * told.T
    with counted(), counter() as operations:
        if derivative:
            along(model, x, t, torch.ones_like(x), ahead)
        else:
            model.output(x, model.path.coefficients(t), ahead)
    found = {str(op).split(".")[-1]: n for op, n in operations.get_flop_counts()["Global"].items()}
    of_layers = sum(n for name, n in found.items() if name in LAYERS)
    return of_layers, operations.get_total_flops() - of_layers


def check_products_of_a_derivative(network: nn.Module) -> None:
    """A layer is linear: ``W x`` and ``W dx``. Attention is not: ``q k``, ``dq k`` and ``q dk``."""
    model = PathModel(network, path("linear").build(), "velocity", 0.7, "interval")
    plain, moving = products(model, derivative=False), products(model, derivative=True)
    assert plain[0] > 0
    assert moving == (2 * plain[0], 3 * plain[1])


def test_a_derivative_takes_the_products_that_it_needs(awake: nn.Module) -> None:
    check_products_of_a_derivative(awake)


def test_bfloat16_autocast_is_close_to_single_precision(awake: nn.Module) -> None:
    x, told, label = given()
    with torch.no_grad():
        single = awake(x, told, label)
        with torch.autocast("cpu", torch.bfloat16):
            half = awake(x, told, label)
    error = (half.float() - single).norm() / single.norm()
    assert 0 < error < 0.03


def test_channels_last_changes_nothing(awake: nn.Module) -> None:
    x, told, label = given()
    with torch.no_grad():
        plain = awake(x, told, label)
        awake.to(memory_format=torch.channels_last)
        last = awake(x.contiguous(memory_format=torch.channels_last), told, label)
    torch.testing.assert_close(last, plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_declared_operations_are_those_that_are_counted(kind: str, shape: tuple[int, ...]) -> None:
    network = build(kind, shape)
    expected = spec(kind, shape).forward_flops(shape)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(4, *shape), torch.zeros(4, 1))
    assert counter.get_total_flops() / 4 == pytest.approx(expected, rel=0.01)
