"""Minibatch OT against POT and torchcfm.

Conventions. torchcfm samples pairs from the plan, with replacement, on both sides and with numpy's
global state; here every datum is kept, in order. Its plan has noise as rows and sums to 1 in total.
"""

from __future__ import annotations

import numpy as np
import ot
import pytest
import torch

from bench.formulations.grammar import coupling as declare
from bench.training.couplings import Pair

transport = pytest.importorskip("torchcfm.optimal_transport", reason="pip install '.[parity]'")

SHAPES = [(64, 2), (64, 1, 8, 8), (50, 5)]


def batch(shape: tuple[int, ...]) -> Pair:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(shape, generator=generator)
    return Pair(noise, torch.randn(shape, generator=generator).sign() + 0.3 * noise.flip(0))


def distances(pair: Pair) -> torch.Tensor:
    """Squared distances, ``[noise, data]``, float64."""
    noise, data = pair.noise.flatten(1).double(), pair.data.flatten(1).double()
    return (noise[:, None] - data).square().sum(2)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_assignment_costs_what_pot_finds(shape: tuple[int, ...]) -> None:
    pair = batch(shape)
    coupled = declare("minibatch_ot", block=len(pair.data)).build()(pair, torch.Generator())
    ours = float((coupled.noise - coupled.data).double().square().flatten(1).sum(1).mean())
    weights = np.full(len(pair.data), 1 / len(pair.data))
    assert ours == pytest.approx(ot.emd2(weights, weights, distances(pair).numpy()), rel=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_assignment_is_the_plan_of_torchcfm(shape: tuple[int, ...]) -> None:
    """Its exact plan is a permutation divided by the batch; ours moves noise to where it points."""
    pair = batch(shape)
    plan = transport.OTPlanSampler(method="exact").get_map(pair.noise, pair.data)
    coupled = declare("minibatch_ot", block=len(pair.data)).build()(pair, torch.Generator())
    assert torch.equal(coupled.noise, pair.noise[torch.from_numpy(plan.argmax(0))])
    assert plan.max(0) == pytest.approx(1 / len(pair.data))
