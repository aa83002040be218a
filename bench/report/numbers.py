"""Numbers as a reader wants them: three significant digits, never in e-notation."""

from __future__ import annotations

import math

from bench.evidence.statistics import CrossingSummary, Interval

MISSING = "—"


def plain(x: float, digits: int = 3) -> str:
    """``x`` with ``digits`` significant digits, written out: ``12.3``, ``0.00321``, ``1,230``."""
    if math.isnan(x):
        return MISSING
    if math.isinf(x):
        return "∞" if x > 0 else "-∞"
    if x == 0:
        return "0"
    rounded = float(f"{x:.{digits - 1}e}")
    decimals = digits - 1 - math.floor(math.log10(abs(rounded)))
    return f"{x if decimals <= 0 else rounded:,.{max(decimals, 0)}f}"


def tick(x: float) -> str:
    """A label of a logarithmic axis: no trailing zeros, ``0.05``, ``2``, ``1,000``."""
    text = plain(x, 6)
    return text.rstrip("0").rstrip(".") if "." in text else text


def scaled(x: float) -> str:
    """``x`` with a decimal prefix: ``13.2 T``, ``4.05 M``, ``812``."""
    if math.isnan(x):
        return MISSING
    for factor, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(x) >= factor:
            return f"{plain(x / factor)} {prefix}"
    return plain(x)


def fraction(x: float) -> str:
    """A percentage with one decimal."""
    return MISSING if math.isnan(x) else f"{100 * x:.1f}%"


def bracket(i: Interval) -> str:
    """``12.3 [11.0, 13.8]``; without brackets where one seed leaves no interval."""
    if math.isnan(i.low):
        return plain(i.estimate)
    return f"{plain(i.estimate)} [{plain(i.low)}, {plain(i.high)}]"


def seeds(n: int, expected: int) -> str:
    """Mark of an incomplete cell: `` (4/5)``, or nothing where every seed is there."""
    return "" if n == expected else f" ({n}/{expected})"


def crossing(c: CrossingSummary, expected: int) -> str:
    """``6.3 [5.1, 7.8]`` where all seeds reach the target inside the sweep, else the median.

    The median stands with its order-statistic interval, ``12 [6, > 64] (4/5 reach it)``.
    """
    if c.n == 0:
        return MISSING
    if c.interval is not None:
        return bracket(c.interval) + seeds(c.n, expected)
    median = _censored(c.median, c)
    if c.n > 1 and c.reached:
        median += f" [{_censored(c.low, c)}, {_censored(c.high, c)}]"
    return f"{median} ({c.reached}/{c.n} reach it)"


def _censored(nfe: float, c: CrossingSummary) -> str:
    if math.isinf(nfe):
        return f"> {c.limit:.0f}"
    return f"{'≤ ' if nfe <= c.early else ''}{plain(nfe)}"
