"""What the sentences share: lists, numbers of evaluations, and paired ratios in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.evidence.statistics import Interval
from bench.evidence.statistics.comparisons import Pair
from bench.report.numbers import bracket, seeds
from bench.report.study import Panel, Study

MOST_NAMED = 3
"""Formulations that a sentence names one by one; more are counted."""


def listed(words: Sequence[str]) -> str:
    """``a, b and c``; words with a comma in them are set apart by semicolons."""
    *others, last = words
    if any(", " in word.split(" (")[0] for word in words):
        return "; ".join(words)
    return f"{', '.join(others)} and {last}" if others else last


def counted(words: Sequence[str], most: int = MOST_NAMED) -> str:
    """The first words, and how many more there are."""
    if len(words) <= most:
        return listed(words)
    return listed([*words[:most], f"{len(words) - most} more"])


def evaluations(count: int) -> str:
    """``1 evaluation``, ``2 evaluations``."""
    return f"{count} evaluation{'' if count == 1 else 's'}"


def over(pair: Pair, label: str) -> Interval:
    """The ratio of ``label`` over the other one of a pair."""
    ratio = pair.ratio
    if label == pair.labels[0]:
        return ratio
    return Interval(1 / ratio.estimate, 1 / ratio.high, 1 / ratio.low, ratio.n, ratio.scale)


def other(pair: Pair, label: str) -> str:
    """The label that ``label`` is compared with."""
    return next(name for name in pair.labels if name != label)


def ratio_to(study: Study, panel: Panel, pair: Pair, label: str) -> str:
    """``Flow matching (ratio 0.95 [0.80, 1.14])``: the other one of a pair, and the ratio to it."""
    shown = bracket(over(pair, label)) + seeds(pair.ratio.n, study.expected(panel))
    return f"{study.titles[other(pair, label)]} (ratio {shown})"


def versus(pair: Pair) -> str:
    """What the test of a pair says, with the ratio of the better one over the other."""
    shown = f"paired ratio {bracket(pair.ratio)}"
    if math.isnan(pair.adjusted):
        return f"{shown}; too few seeds for a test"
    return f"{shown}, {'told apart' if pair.apart else 'not told apart by these seeds'}"
