"""Numbers as they are printed."""

from __future__ import annotations

import math

import pytest

from bench.report.numbers import bounded


@pytest.mark.parametrize(
    ("estimate", "low", "high", "text"),
    [
        (12.3456, 11.04, 13.81, "12.3 [11.0, 13.8]"),
        (12.3456, 12.33, 12.36, "12.346 [12.330, 12.360]"),
        (1234.5, 1080.2, 1380.9, "1,234 [1,080, 1,381]"),
        (0.66123, 0.6494, 0.6741, "0.661 [0.649, 0.674]"),
        (0.0032, 0.0001, 5.0, "0.0032 [0.0001, 5.0000]"),
        (0.0, -0.5, 0.5, "0.0 [-0.5, 0.5]"),
        (2.0, 2.0, 2.0, "2.00 [2.00, 2.00]"),
        (2.0, math.nan, math.nan, "2.00"),
    ],
)
def test_digits_follow_the_interval(estimate: float, low: float, high: float, text: str) -> None:
    assert bounded(estimate, low, high) == text
