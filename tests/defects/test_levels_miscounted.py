"""Defect: 8-bit images that are taken for ones of another number of levels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from bench.data.dataset import DataSet
from bench.registry import discover
from tests import sources
from tests.contracts import test_data as contract


@pytest.mark.parametrize("levels", [255, 1021])
@pytest.mark.parametrize(
    "name", [name for name in discover("data") if sources.description(name).levels == 256]
)
def test_the_contract_sees_it(name: str, levels: int, real_data: Callable[[str], DataSet]) -> None:
    def planted(name: str) -> DataSet:
        return dataclasses.replace(real_data(name), levels=levels)

    with pytest.raises(AssertionError):
        contract.test_pixels_of_8_bits_are_looked_at_as_they_are(name, planted)
