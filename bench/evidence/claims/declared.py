"""What a claim is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bench.evidence.claims.asked import Evidence
from bench.evidence.claims.rules import Test

Accounting = Literal["all_in", "marginal"]
BOTH: tuple[Accounting, ...] = ("all_in", "marginal")


@dataclass(frozen=True)
class Registration:
    """Which rule decides, and since when.

    Attributes:
        version: of the rule, from 1.
        date: when it was made as it stands.
        after_records: what was changed after records had been seen, as half a sentence; empty where
            nothing was.
    """

    version: int
    date: str
    after_records: str = ""

    def __str__(self) -> str:
        """``version 2 of 2026-11-28``."""
        return f"version {self.version} of {self.date}"


FIRST = Registration(1, "2026-11-22")
"""Rules that stand as they were made, before there was a record."""


@dataclass(frozen=True)
class Part:
    """One comparison of a claim.

    Attributes:
        name: what is compared, as a table shows it.
        contrast: reads the records of one data set and tests them; raises ``NotTestedError``.
        rule: what decides, in words, with the margin.
        statement: what holds where the part is supported, as half a sentence.
        opposite: what holds where it is refuted.
        measure: the number behind it, as half a sentence with the place ``{effect}``.
        ratio: whether the effect is a ratio or an exponent, which is nothing at 1.
        registration: version and date of the rule.
        fineness: of the evidence of an experiment. Of several that can answer, the finest does, and
            the first of those that are equally fine. It knows nothing of the answer.
    """

    name: str
    contrast: Callable[[Evidence], Test]
    rule: str
    statement: str
    opposite: str
    measure: str
    ratio: bool = True
    registration: Registration = FIRST
    fineness: Callable[[Evidence], float] = lambda evidence: 0.0


@dataclass(frozen=True)
class Claim:
    """A question that is argued about.

    Attributes:
        id: number, as printed.
        question: in plain words.
        claimed: what has been claimed, in the terms of the sources.
        sources: arXiv numbers.
        parts: the comparisons that answer it.
        accountings: budgets in which it must be answered apart, because what stands upstream of a
            model decides it; empty where no model of the claim has an upstream.
    """

    id: str
    question: str
    claimed: str
    sources: tuple[str, ...]
    parts: tuple[Part, ...]
    accountings: tuple[Accounting, ...] = ()
