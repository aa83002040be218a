"""Conditions on options: what they may say, and how they are refused."""

from __future__ import annotations

import inspect
import math
from typing import Any

import pytest

from bench.options import requires, unmet


class Levels:
    """A constructor under conditions."""

    @requires("0 < lowest < highest", "highest <= 2 * pi")
    def __init__(self, lowest: float = 1.0, *, highest: float = 2.0) -> None:
        self.lowest, self.highest = lowest, highest


def test_defaults_are_checked_with_what_is_given() -> None:
    assert Levels(0.5).highest == 2.0
    assert Levels(highest=6.28).lowest == 1.0
    message = r"^need 0 < lowest < highest, got lowest=3\.0, highest=2\.0$"
    with pytest.raises(ValueError, match=message):
        Levels(3.0)
    with pytest.raises(ValueError, match=r"^need highest <= 2 \* pi, got highest=6\.29$"):
        Levels(highest=6.29)


def test_a_constructor_keeps_its_signature_and_its_errors() -> None:
    assert list(inspect.signature(Levels).parameters) == ["lowest", "highest"]
    wrong: dict[str, Any] = {"lowst": 1.0}
    with pytest.raises(TypeError, match="lowst"):
        Levels(**wrong)


@pytest.mark.parametrize(
    ("condition", "options"),
    [
        ("a > 0", {"a": 1}),
        ("not a > 0", {"a": -1}),
        ("0 <= a < 1 or a == 7", {"a": 7}),
        ("a != 0 and b / a >= 2", {"a": 2, "b": 4}),
        ("2**30 % a == 0", {"a": 1024}),
        ("a // 2 + -b - +1 == 0", {"a": 5, "b": 1}),
        ("-pi <= a <= pi * 1.0", {"a": 3.14}),
        ("word in ('near', 'far')", {"word": "far"}),
        ("word not in ('near', 'far')", {"word": "elsewhere"}),
    ],
)
def test_conditions_that_hold(condition: str, options: dict[str, Any]) -> None:
    unmet([condition], options)


@pytest.mark.parametrize(
    ("condition", "options", "found"),
    [
        ("a > 0", {"a": 0}, "a=0"),
        ("a < 0 or b < 0", {"b": 2, "a": 1}, "a=1, b=2"),
        ("2**30 % a == 0", {"a": 100}, "a=100"),
        ("1 / a > 0", {"a": 0.0}, "a=0.0"),
        ("a > 0", {"a": "five"}, "a='five'"),
        ("not a > 0", {"a": math.nan}, "a=nan"),
        ("a > 0 or b > 0", {"a": 1.0, "b": math.nan}, "a=1.0, b=nan"),
        ("word in ('near', 'far')", {"word": "fra"}, "word='fra'"),
    ],
)
def test_conditions_that_do_not_hold(condition: str, options: dict[str, Any], found: str) -> None:
    with pytest.raises(ValueError, match=r"^need ") as refused:
        unmet(["1 < 2", condition], options)
    assert str(refused.value) == f"need {condition}, got {found}"


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("b > 0", "names 'b', which is no option"),
        ("a.real > 0", "does more than compare options"),
        ("abs(a) > 0", "does more than compare options"),
        ("(lambda: a)", "does more than compare options"),
        ("a >", "is no expression"),
    ],
)
def test_a_condition_that_means_nothing_is_refused_at_import(condition: str, reason: str) -> None:
    def construct(a: float) -> None:
        """A constructor that is never called."""

    with pytest.raises(ValueError, match=reason):
        requires(condition)(construct)
    with pytest.raises(ValueError, match=reason):
        unmet([condition], {"a": 1.0})
