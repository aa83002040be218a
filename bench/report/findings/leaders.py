"""Who leads at few, some and many evaluations, and whether the seeds tell."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from bench.evidence.statistics import Interval
from bench.evidence.statistics.comparisons import Pair
from bench.report.findings.words import counted, evaluations, other, ratio_to, versus
from bench.report.numbers import bracket
from bench.report.study import Panel, Study
from bench.report.tables.pairs import compared
from bench.report.titles import metric_title

FEW = (1, 2)
SOME = (4, 8)
"""Evaluations that a sentence is made of, where they were swept; so are the fewest and the most."""


def counts(study: Study, panel: Panel) -> list[int]:
    """The numbers of evaluations at which a leader is named."""
    swept = study.nfe(panel)
    return [n for n in swept if n in (*FEW, *SOME, swept[0], swept[-1])]


def leaders(study: Study, panel: Panel) -> Iterator[str]:
    """Who has the lowest primary metric at each of :func:`counts`."""
    for nfe in counts(study, panel):
        yield leader(study, panel, nfe)


def ranked(study: Study, panel: Panel, nfe: int) -> list[tuple[str, Interval]]:
    """Labels with a value at an NFE, the lowest mean first."""
    points = [
        (label, curve[nfe])
        for label in study.labels(panel)
        if nfe in (curve := study.curve(panel, label, study.selected))
    ]
    return sorted(points, key=lambda pair: pair[1].estimate)


def leader(study: Study, panel: Panel, nfe: int) -> str:
    """A sentence on the lowest primary metric at one number of evaluations that has values."""
    order = ranked(study, panel, nfe)
    (first, value), *followers = order
    at_floor = [label for label, _ in order if study.floors.at_floor(panel, label, nfe)]
    if first in at_floor:
        return _floor_first(study, nfe, at_floor, order)
    text = (
        f"At {evaluations(nfe)} {study.titles[first]} has the lowest "
        f"{metric_title(panel.primary)}, {bracket(value)}"
    )
    if followers:
        pairs = [pair for pair in compared(study, panel, nfe) if first in pair.labels]
        text += "; " + _told_apart(study, panel, first, [name for name, _ in followers], pairs)
    if at_floor:
        names = counted([study.titles[label] for label in at_floor])
        text += f"; at the floor by all metrics that rank, and so no worse: {names}"
    return f"{text}."


def in_front(study: Study, panel: Panel, nfe: int) -> tuple[list[str], str]:
    """Who is ahead at one number of evaluations, without numbers.

    Returns:
        The labels that are at the floor, or the one with the lowest mean and all that it is not
        told apart from; and how they stand to each other.
    """
    order = [label for label, _ in ranked(study, panel, nfe)]
    first = order[0]
    at_floor = [label for label in order if study.floors.at_floor(panel, label, nfe)]
    if first in at_floor:
        return at_floor, "at the floor"
    pairs = {other(p, first): p for p in compared(study, panel, nfe) if first in p.labels}
    if study.expected(panel) < 2:
        return [first], "a single seed, not tested"
    near = [label for label in order[1:] if label not in pairs or not pairs[label].apart]
    return [first, *near], "not told apart" if near else "told apart from the others"


def _floor_first(
    study: Study, nfe: int, at_floor: Sequence[str], order: Sequence[tuple[str, Interval]]
) -> str:
    """The sentence where those in front cannot be told from real samples."""
    names = [study.titles[label] for label in at_floor]
    rest = [(label, value) for label, value in order if label not in at_floor]
    verb, rank = ("is", "") if len(names) == 1 else ("are", " and rank equal")
    text = (
        f"At {evaluations(nfe)} {counted(names, len(names))} {verb} at the floor: not told from "
        f"real samples{rank}"
    )
    if rest:
        label, value = rest[0]
        text += f"; the lowest of the others is {study.titles[label]} with {bracket(value)}"
    return f"{text}."


def _told_apart(
    study: Study, panel: Panel, first: str, followers: Sequence[str], pairs: Sequence[Pair]
) -> str:
    """From whom the first is told apart by the paired test, adjusted over all pairs."""
    by_label = {other(pair, first): pair for pair in pairs}
    known = [by_label[label] for label in followers if label in by_label]
    if not known:
        return "no other has a ratio to it"
    tested = [pair for pair in known if not math.isnan(pair.adjusted)]
    if not tested:
        return f"next is {ratio_to(study, panel, known[0], first)}: too few seeds for a test"
    near = [ratio_to(study, panel, pair, first) for pair in tested if not pair.apart]
    apart = [pair for pair in tested if pair.apart]
    if near:
        text = f"not told apart from {counted(near)}"
        if apart:
            text += f"; told apart from {counted([_name(study, pair, first) for pair in apart])}"
    else:
        nearest = ratio_to(study, panel, apart[0], first)
        every = "every other; next is " if len(apart) > 1 else ""
        text = f"told apart from {every}{nearest}"
    without = [study.titles[label] for label in followers if by_label.get(label) not in tested]
    return f"{text}; not tested: {counted(without)}" if without else text


def _name(study: Study, pair: Pair, first: str) -> str:
    return study.titles[other(pair, first)]


def expectation(study: Study, panel: Panel) -> Iterator[str]:
    """The pattern that was expected beforehand, confirmed or not."""
    fast = [name for name in study.labels(panel) if study.is_few_step(panel, name)]
    slow = [name for name in study.labels(panel) if name not in fast]
    nfe = study.nfe(panel)
    claims = (
        (nfe[0], fast, slow, "models made for few evaluations", "the others"),
        (nfe[-1], slow, fast, "the others", "models made for few evaluations"),
    )
    for count, ahead, behind, name, rivals in claims:
        order = [label for label, _ in ranked(study, panel, count)]
        best = next((label for label in order if label in ahead), None)
        rival = next((label for label in order if label in behind), None)
        pair = next(
            (p for p in compared(study, panel, count) if set(p.labels) == {best, rival}), None
        )
        if best is None or rival is None or pair is None:
            continue
        equal = all(study.floors.at_floor(panel, label, count) for label in (best, rival))
        if equal or not pair.apart:
            verdict = "The records leave it open"
        else:
            agrees = pair.labels[0] == best
            verdict = "The records agree" if agrees else "The records disagree"
        both = "; both are at the floor" if equal else ""
        yield (
            f"Expected beforehand: at {evaluations(count)} {name} are ahead of {rivals}. "
            f"{verdict}: {study.titles[pair.labels[0]]} against {study.titles[pair.labels[1]]}, "
            f"{versus(pair)}{both}."
        )
