"""Evaluations needed for the common targets: bounds, never interpolated."""

from __future__ import annotations

import math
from collections.abc import Iterator

from bench.report.numbers import crossing, plain
from bench.report.study import CROWDED, Panel, Study


def needed(study: Study, panel: Panel) -> Iterator[str]:
    """A sentence a target, with every formulation; of many those that need fewest."""
    for factor in study.targets(panel):
        yield from within(study, panel, factor)


def within(study: Study, panel: Panel, factor: float) -> Iterator[str]:
    """Who needs how many evaluations to come within ``factor`` times the best mean."""
    target = study.targets(panel).get(factor)
    if target is None:
        return
    found = [
        (summary, label)
        for label in study.labels(panel)
        if (summary := study.crossing(panel, label, study.selected, target)) is not None
    ]
    if not found:
        return
    more = ""
    if len(found) > CROWDED:
        reaching = [pair for pair in found if math.isfinite(pair[0].most)]
        reaching.sort(key=lambda pair: (pair[0].most, pair[0].least))
        beyond = len(found) - len(reaching)
        found, rest = reaching[:CROWDED], len(reaching[CROWDED:])
        more = f"; {rest} more need as many or more" if rest else ""
        more += f"; the medians of {beyond} do not reach it" if beyond else ""
    expected = study.expected(panel)
    parts = [f"{study.titles[label]} {crossing(summary, expected)}" for summary, label in found]
    if not parts:
        parts, more = ["no formulation does"], ""
    yield (
        f"Evaluations needed to come within {factor:g} times the best mean at the most evaluations "
        f"(a target of {plain(target)}): {'; '.join(parts)}{more}."
    )
