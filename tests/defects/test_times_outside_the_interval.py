"""Defects: a time sampling that leaves the interval, falls, heaps times up, or has another law."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.formulations.grammar import path, time_sampling
from bench.models.paths import Path
from bench.training.time_sampling import TimeSampling
from tests.contracts import test_time_sampling as contract

NARROW = path("linear").build().cut(start=0.3, end=0.6)
WRONG: dict[str, TimeSampling] = {
    "ignores the interval": lambda u, on: u,
    "time runs backwards": lambda u, on: on.interval[1] + (on.interval[0] - on.interval[1]) * u,
    "another precision": lambda u, on: time_sampling("uniform").build()(u, on).half(),
}


@pytest.mark.parametrize("defect", WRONG)
def test_times_that_do_not_rise_inside_the_interval_are_seen(defect: str) -> None:
    contract.check_times(time_sampling("uniform").build(), NARROW, torch.float64)
    with pytest.raises(AssertionError):
        contract.check_times(WRONG[defect], NARROW, torch.float64)


@pytest.mark.parametrize("law", contract.STATED)
def test_times_that_are_clamped_and_not_truncated_are_seen(law: str) -> None:
    """What lies outside the interval is heaped up at its ends."""
    whole = path("edm").build()
    narrow, honest = whole.cut(start=0.3, end=0.6), time_sampling(law).build()

    def clamped(u: Tensor, on: Path) -> Tensor:
        return honest(u, whole).clamp(*on.interval)

    contract.check_law(honest, contract.STATED[law], narrow)
    with pytest.raises(AssertionError):
        contract.check_law(clamped, contract.STATED[law], narrow)


@pytest.mark.parametrize("law", [law for law in contract.STATED if law != "uniform"])
def test_another_law_than_the_stated_one_is_seen(law: str) -> None:
    with pytest.raises(AssertionError):
        contract.check_law(
            time_sampling("uniform").build(), contract.STATED[law], path("edm").build()
        )
