"""Defect: a percentile bootstrap over seeds where Student's interval belongs."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.evidence.statistics import Interval
from tests.evidence.statistics import test_intervals as contract


def bootstrap(values: NDArray[np.float64]) -> Interval:
    rng = np.random.default_rng(0)
    means = np.log(values)[rng.integers(len(values), size=(200, len(values)))].mean(axis=1)
    low, high = np.exp(np.quantile(means, [0.025, 0.975]))
    return Interval(float(np.exp(means.mean())), float(low), float(high), len(values), "log")


@pytest.mark.parametrize("n", [3, 5])
def test_the_coverage_check_sees_it(n: int) -> None:
    with pytest.raises(AssertionError):
        contract.check_coverage(bootstrap, n)
