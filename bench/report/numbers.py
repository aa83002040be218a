"""Numbers as a reader wants them: three significant digits, never in e-notation."""

from __future__ import annotations

import math

from bench.evidence.statistics import CrossingSummary, Interval
from bench.evidence.statistics.floor import Level

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


def power(x: float) -> str:
    """A tolerance: a power of ten with its exponent, ``1e-2``, ``2.5e-4``."""
    digits, _, exponent = f"{x:.6e}".partition("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"


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
    return bounded(i.estimate, i.low, i.high)


def bounded(estimate: float, low: float, high: float) -> str:
    """An estimate and its interval, whose width decides the digits: it has two.

    What is smaller than the width keeps its first digits, the estimate two and a bound one.
    """
    width = high - low
    if not (math.isfinite(width) and math.isfinite(estimate)):
        return plain(estimate)
    if width == 0:
        return f"{plain(estimate)} [{plain(low)}, {plain(high)}]"
    wanted = ((width, 2), (estimate, 2), (low, 1), (high, 1))
    places = [digits - 1 - math.floor(math.log10(abs(x))) for x, digits in wanted if x]
    texts = (f"{x:,.{max(0, *places)}f}" for x in (estimate, low, high))
    return "{} [{}, {}]".format(*texts)


def banded(level: Level | None) -> str:
    """A floor with the band that holds 95% of its draws."""
    return MISSING if level is None else bounded(level.value, level.low, level.high)


def seeds(n: int, expected: int) -> str:
    """Mark of an incomplete cell: `` (4/5)``, or nothing where every seed is there."""
    return "" if n == expected else f" ({n}/{expected})"


def crossing(c: CrossingSummary, expected: int) -> str:
    """``5 to 8 [3, 12]``: bounds of the median over seeds, and its order-statistic interval.

    Seeds that do not reach the target are told: ``9 to 12 [5, > 64] (4/5 reach it)``.
    """
    if c.n == 0:
        return MISSING
    beyond = f"> {c.limit:.0f}"
    if math.isinf(c.most):
        text = beyond
    else:
        text = f"{c.most:.0f}" if c.least == c.most else f"{c.least:.0f} to {c.most:.0f}"
    if c.n > 1 and c.reached and (c.low, c.high) != (c.least, c.most):
        text += f" [{c.low:.0f}, {beyond if math.isinf(c.high) else f'{c.high:.0f}'}]"
    return (
        f"{text} ({c.reached}/{c.n} reach it)" if c.reached < c.n else text + seeds(c.n, expected)
    )
