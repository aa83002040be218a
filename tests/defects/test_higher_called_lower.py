"""Defect: a metric that declares the wrong direction, or measures the opposite of its name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from bench.data.dataset import DataSet
from bench.metrics.context import Context, References
from bench.metrics.measurement import Measurement
from bench.metrics.measures import modes
from tests.contracts import test_metrics as contract


@pytest.mark.parametrize("defect", ["mode_coverage", "mode_tv"])
def test_the_contract_sees_it(defect: str, real_data: Callable[[str], DataSet]) -> None:
    data = real_data("mixture2d")
    references = References(data, contract.SETTINGS)

    def opposite(context: Context) -> list[Measurement]:
        return [
            dataclasses.replace(m, value=-m.value) if m.metric == defect else m
            for m in modes.compute(context)
        ]

    def make(name: str, samples: contract.Tensor) -> Context:
        return Context(samples, references)

    contract.check_direction(modes.compute, "mixture2d", make, data)
    with pytest.raises(AssertionError):
        contract.check_direction(opposite, "mixture2d", make, data)
