"""Defect: a split that holds out what it trains on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from bench.data.dataset import DataSet
from bench.registry import discover
from tests.contracts import test_data as contract


@pytest.mark.parametrize("name", discover("data"))
def test_the_contract_sees_it(name: str, real_data: Callable[[str], DataSet]) -> None:
    def planted(name: str) -> DataSet:
        honest = real_data(name)
        return dataclasses.replace(honest, held_out=honest.train[: len(honest.held_out)])

    with pytest.raises(AssertionError):
        contract.test_held_out_samples_were_never_trained_on(name, planted)


@pytest.mark.parametrize("name", discover("data"))
def test_the_contract_sees_a_single_shared_sample(
    name: str, real_data: Callable[[str], DataSet]
) -> None:
    def planted(name: str) -> DataSet:
        honest = real_data(name)
        held_out = honest.held_out.clone()
        held_out[-1] = honest.train[7]
        return dataclasses.replace(honest, held_out=held_out)

    with pytest.raises(AssertionError):
        contract.test_held_out_samples_were_never_trained_on(name, planted)
