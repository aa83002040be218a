"""The meter: nothing is evaluated uncounted, and what is counted is what happened."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from bench.errors import BudgetError
from bench.models.meter import counted, watch
from bench.models.path_model import build_network
from bench.training.budget import Ledger


@pytest.fixture
def network() -> nn.Sequential:
    built = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 4))
    watch(built)
    return built


def update(network: nn.Module, batch: int = 16) -> None:
    network(torch.ones(batch, 4)).square().mean().backward()


def test_a_forward_outside_a_metered_region_raises(network: nn.Module) -> None:
    with pytest.raises(BudgetError, match="outside a metered region"):
        network(torch.ones(3, 4))


def test_counts_are_samples(network: nn.Module) -> None:
    with counted() as passes, torch.no_grad():
        network(torch.ones(3, 4))
        network(torch.ones(5, 4))
    assert (passes.forwards, passes.backwards) == (8, 0)


def test_regions_nest_and_the_inner_one_counts(network: nn.Module) -> None:
    with counted() as outer, torch.no_grad():
        with counted() as inner:
            network(torch.ones(3, 4))
        network(torch.ones(5, 4))
    assert (outer.forwards, inner.forwards) == (5, 3)


def test_a_training_step_costs_three_passes_and_its_matrix_products(network: nn.Module) -> None:
    ledger = Ledger()
    for _ in range(3):
        with ledger.step("train", "update", updates=1, samples=16):
            update(network)
    charge = ledger.charges["train"]
    assert (charge.updates, charge.samples) == (3, 48)
    assert (charge.forwards, charge.backwards, charge.network_passes) == (48, 48, 144)
    # Forward: two products. Backward: weight gradients of both layers, input gradient of one.
    product = 2 * 16 * 4 * 8
    assert charge.flops == 3 * 5 * product


@pytest.mark.parametrize("kernel", [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION])
def test_attention_costs_two_products_forward_and_four_backward(kernel: SDPBackend) -> None:
    """Whatever kernel runs: a fused one computes the scores again, which is not the algorithm's."""
    batch, heads, queries, keys, features = 2, 3, 8, 16, 8
    query = torch.ones(batch, heads, queries, features, requires_grad=True)
    key, value = (torch.ones(batch, heads, keys, features, requires_grad=True) for _ in range(2))
    ledger = Ledger()
    with sdpa_kernel(kernel), ledger.step("train", "update"):
        scaled_dot_product_attention(query, key, value).sum().backward()
    product = 2 * batch * heads * queries * keys * features
    assert ledger.costs["update"].flops == 6 * product


def test_a_layout_in_memory_does_not_change_a_charge() -> None:
    """Attention of a U-Net is the plain kernel's in one layout and a fused one's in the other."""
    options = {"channels": 8, "multipliers": (1, 2), "blocks": 1, "attention": (4,), "head": 8}
    ledger = Ledger()
    for layout in (torch.contiguous_format, torch.channels_last):
        network = build_network("unet", (1, 8, 8), {**options, "embedding": 8}, 0)
        network.to(memory_format=layout)
        watch(network)
        with ledger.step("train", str(layout)):
            network(torch.ones(4, 1, 8, 8), torch.ones(4, 1)).square().mean().backward()
    plain, last = (cost.flops for cost in ledger.costs.values())
    assert plain == last


def test_an_unplanned_evaluation_raises(network: nn.Module) -> None:
    ledger = Ledger()
    with ledger.step("train", "update"):
        update(network)

    def twice() -> None:
        with ledger.step("train", "update"):
            update(network)
            update(network)

    with pytest.raises(BudgetError, match="unplanned"):
        twice()


def test_a_failed_step_is_not_charged(network: nn.Module) -> None:
    ledger = Ledger()
    with pytest.raises(ZeroDivisionError), ledger.step("train", "update"):
        raise ZeroDivisionError
    assert ledger.spent("flops") == 0


@pytest.mark.parametrize("unit", ["flops", "network_passes", "device_seconds"])
def test_spent_is_steps_times_the_cost_of_one(network: nn.Module, unit: str) -> None:
    ledger = Ledger(seconds_per_step={"update": 0.25})
    for _ in range(4):
        with ledger.step("train", "update"):
            update(network)
    assert ledger.spent(unit) == pytest.approx(4 * ledger.unit_cost("update", unit))


def test_seconds_need_a_calibration(network: nn.Module) -> None:
    ledger = Ledger()
    with ledger.step("train", "update"):
        update(network)
    with pytest.raises(BudgetError, match="calibrate"):
        ledger.unit_cost("update", "device_seconds")


def test_state_returns(network: nn.Module) -> None:
    ledger, restored = Ledger(), Ledger()
    with ledger.timed("train"), ledger.step("train", "update", updates=1):
        update(network)
    restored.restore(ledger.state())
    assert restored.state() == ledger.state()
    with pytest.raises(BudgetError), restored.step("train", "update"):
        update(network, batch=8)


def test_time_is_charged_to_its_kind() -> None:
    ledger = Ledger()
    with ledger.timed("train"), ledger.coupling("train"):
        sum(i * i for i in range(200_000))
    charge = ledger.charges["train"]
    assert 0 < charge.coupling_seconds <= charge.device_seconds
    assert charge.wall_seconds > 0


def failing() -> None:
    sum(range(200_000))
    raise RuntimeError("no plan")


def test_a_coupling_that_fails_is_charged_what_it_took() -> None:
    ledger = Ledger()
    with pytest.raises(RuntimeError, match="no plan"), ledger.coupling("train"):
        failing()
    assert ledger.charges["train"].coupling_seconds > 0
