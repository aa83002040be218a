"""Defect: no difference found is read as equality."""

from __future__ import annotations

import math

import pytest

from tests.evidence.statistics import test_comparisons as contract


def test_the_size_check_sees_it() -> None:
    """With three seeds; where more find nearly every difference, the defect does no harm."""
    with pytest.raises(AssertionError):
        contract.check_size(lambda c: not c.differs, math.log(1.1), n=3)
