"""Defect: no difference found is read as equality."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import pytest

from bench.evidence.claims import rules
from tests.evidence.claims import test_rules as contract


def test_the_size_check_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """With three seeds; where more find nearly every difference, the defect does no harm."""

    def planted(
        d: Sequence[float], centre: float, margin: float, scale: Literal["log", "linear"]
    ) -> rules.Test:
        found = rules.difference([x - centre for x in d], "less")
        differs = found.p <= rules.ALPHA
        return rules.Test(
            found.estimate, found.low, found.high, found.level, found.n,
            "refuted" if differs else "supported", 0.0,
        )  # fmt: skip

    contract.test_equality_is_found_at_the_margin_in_at_most_one_of_twenty(3)
    monkeypatch.setattr(contract, "equality", planted)
    with pytest.raises(AssertionError):
        contract.test_equality_is_found_at_the_margin_in_at_most_one_of_twenty(3)


def test_one_test_in_the_place_of_two_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equality by the t test at one margin alone: a mean far beyond the other would be equal."""
    honest = rules.tail

    def planted(d: Sequence[float], bound: float) -> float:
        return 0.0 if bound < 0 and math.isclose(bound, -contract.MARGIN) else honest(d, bound)

    monkeypatch.setattr(rules, "tail", planted)
    with pytest.raises(AssertionError):
        contract.test_equality_is_found_at_the_margin_in_at_most_one_of_twenty(3)
