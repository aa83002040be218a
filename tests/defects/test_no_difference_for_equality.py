"""Defect: no difference found is read as equality."""

from __future__ import annotations

import math

import pytest

from tests.statistics import test_comparisons as contract


@pytest.mark.parametrize("n", [3, 5])
def test_the_size_check_sees_it(n: int) -> None:
    with pytest.raises(AssertionError):
        contract.check_size(lambda c: not c.differs, math.log(1.1), n)
