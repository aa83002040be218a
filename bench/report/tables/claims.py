"""The claims and their verdicts: a table, and what the section at the top of the page shows.

Everything is taken from :func:`bench.evidence.claims.judge`; nothing is decided here.
"""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import pandas as pd

from bench.evidence.claims import Claim, Finding, Part, Test, Verdict
from bench.evidence.claims.declared import Registration
from bench.report.declared import DeclaredTable
from bench.report.numbers import MISSING, bounded, plain
from bench.report.study import Study
from bench.report.table import BLOCK, Table

ORDER: tuple[Verdict, ...] = ("supported", "refuted", "inconclusive", "not tested")
MARKS: dict[Verdict, str] = {
    "supported": "✓",
    "refuted": "✗",
    "inconclusive": "?",
    "not tested": "·",
}
ACCOUNTINGS = {"all_in": "all-in", "marginal": "marginal"}
WIDTH = 72
"""Characters in a line of a sentence, in the files of the table."""

RULES = (
    "Effects are paired within a training seed, and ratios are compared on the log scale. A "
    "difference is supported or refuted where its 95% Student t interval excludes 1. An equality "
    "is supported where the 90% interval lies inside the margin that was declared beforehand (two "
    "one-sided tests), and refuted where the effect lies beyond it. Inconclusive never means "
    "equal: more seeds may settle it. All comparisons of one claim and accounting, over its parts "
    "and data sets, are one family: their p-values are adjusted by Holm's method, and a verdict "
    "needs an adjusted p of at most 0.05, so an interval may exclude 1 and the verdict still be "
    "inconclusive. Evaluations that are not reached within the sweep are censored, not "
    "extrapolated: 'less than' and 'more than' are then the bounds of the interval. The best of "
    "several models is chosen for each seed on the other seeds. Of several joined experiments the "
    "first that can answer gives the verdict (claim 5a: the one with the finest solves), since a "
    "model that two of them share is one piece of evidence; what the others measured stands beside "
    "it. Replicates are training seeds; the exact field is one."
)


def _changed_after_records(asked: Sequence[Claim]) -> str:
    """Which rules were changed after records had been seen, and how."""
    changed: dict[Registration, dict[str, None]] = {}
    for claim in asked:
        for part in claim.parts:
            if part.registration.after_records:
                changed.setdefault(part.registration, {})[claim.id] = None
    if not changed:
        return "No rule was changed after records had been seen."
    told = "; ".join(
        f"of claim{'s' if len(ids) > 1 else ''} {', '.join(ids)} ({registration}): "
        f"{registration.after_records}"
        for registration, ids in changed.items()
    )
    return f"Rules that were changed after records had been seen, {told}."


def show(test: Test) -> str:
    """Effect and interval: ``0.54 [0.50, 0.58]``, or the bound that censoring leaves."""
    if not math.isnan(test.estimate):
        return bounded(test.estimate, test.low, test.high)
    if math.isinf(test.high):
        return f"more than {plain(test.low)}" if test.low > 0 else "censored"
    if test.low > 0:
        return f"between {plain(test.low)} and {plain(test.high)}"
    return f"less than {plain(test.high)}"


def _p(p: float) -> str:
    if math.isnan(p):
        return MISSING
    return "< 0.001" if p < 0.001 else plain(p, 2)


def _place(study: Study, finding: Finding) -> str:
    """The data set of a finding, with its experiment where there are several."""
    titles = {(p.experiment, p.dataset): p.title for p in study.panels}
    everywhere = next(p for p in study.panels if p.dataset == finding.dataset)
    title = study.experiment(everywhere).described(finding.dataset).title
    return titles.get((finding.experiment, finding.dataset), title)


def _merged(study: Study, claim: Claim) -> Iterator[tuple[list[Finding], str]]:
    """Findings of a claim with their data set; parts untested for one reason come together."""
    findings = [f for f in study.verdicts if f.claim.id == claim.id]
    for finding in findings:
        if finding.test is not None:
            yield [finding], _place(study, finding)
    untested = sorted(
        (f for f in findings if f.test is None), key=lambda f: (f.accounting or "", f.dataset)
    )
    for _, same in groupby(untested, key=lambda f: (f.accounting, f.dataset, f.missing)):
        group = list(same)
        yield group, _place(study, group[0])


def _compared(group: Sequence[Finding]) -> str:
    """What a row compares."""
    first = group[0]
    if len(group) == 1:
        return first.part.name
    return "everything" if len(group) == len(first.claim.parts) else f"{len(group)} comparisons"


def _others(finding: Finding) -> str:
    """What other runs measured of the same."""
    return "; ".join(f"{experiment}: {show(test)}" for experiment, test in finding.others)


def _in_words(finding: Finding) -> str:
    """The finding, the run that gave it where there are others, and what those measured."""
    others = _others(finding)
    more = f" (from {finding.experiment}; {others})" if others else ""
    return finding.sentence(show) + more


def _row(group: Sequence[Finding]) -> dict[str, str]:
    first = group[0]
    return {
        "claim": first.claim.id,
        "compared": _compared(group),
        "budget": ACCOUNTINGS.get(first.accounting or "", MISSING),
        "verdict": first.verdict,
        "effect": show(first.test) if first.test else MISSING,
        "p (Holm)": f"{_p(first.p)} (one of {first.family})" if first.test else MISSING,
        "replicates": str(first.test.n) if first.test else MISSING,
        "in words": _in_words(first),
    }


def claims(study: Study) -> Table:
    """Every claim with its verdicts, effects and intervals, data set by data set."""
    data = [
        {
            "claim": f.claim.id,
            "question": f.claim.question,
            "claimed": f.claim.claimed,
            "sources": " ".join(f"arXiv:{number}" for number in f.claim.sources),
            "compared": f.part.name,
            "rule": f.part.rule,
            "rule_version": f.part.registration.version,
            "rule_date": f.part.registration.date,
            "changed_after_records": f.part.registration.after_records,
            "experiment": f.experiment,
            "dataset": f.dataset,
            "accounting": f.accounting or "",
            "verdict": f.verdict,
            "estimate": f.test.estimate if f.test else math.nan,
            "low": f.test.low if f.test else math.nan,
            "high": f.test.high if f.test else math.nan,
            "level": f.test.level if f.test else math.nan,
            "p_unadjusted": f.test.p if f.test else math.nan,
            "p_holm": f.p,
            "comparisons": f.family,
            "replicates": f.test.n if f.test else 0,
            "missing": f.missing,
            "sentence": f.sentence(show),
            "others": _others(f),
        }
        for f in study.verdicts
    ]
    text = [
        {BLOCK: place} | _row(group) | {"in words": textwrap.fill(_in_words(group[0]), WIDTH)}
        for claim in _asked(study)
        for group, place in _merged(study, claim)
    ]
    caption = (
        "What has been claimed of these formulations, and what the records say. "
        + " ".join(f"Claim {c.id}: {c.question}" for c in _asked(study))
        + f" {RULES} {_changed_after_records(_asked(study))}"
    )
    columns = [BLOCK, "claim", "compared", "budget", "verdict", "effect", "p (Holm)",
               "replicates", "in words"]  # fmt: skip
    frame = pd.DataFrame(text, columns=columns)
    return Table("claims", "Claims", caption, pd.DataFrame(data), frame, wordy=True)


def _asked(study: Study) -> list[Claim]:
    return list({f.claim.id: f.claim for f in study.verdicts}.values())


# --- the section of the page ---------------------------------------------------------------------


def section(study: Study) -> dict[str, Any]:
    """What the template shows: an overview, and a block for each claim."""
    places = list(dict.fromkeys(_place(study, f) for f in study.verdicts))
    return {
        "places": places,
        "rules": f"{RULES} {_changed_after_records(_asked(study))}",
        "claims": [
            {
                "id": claim.id,
                "question": claim.question,
                "claimed": claim.claimed,
                "sources": ", ".join(f"arXiv:{number}" for number in claim.sources),
                "accountings": bool(claim.accountings),
                "overview": [_counts(study, claim, place) for place in places],
                "rows": [
                    _row(group)
                    | {
                        "place": place,
                        "mark": MARKS[group[0].verdict],
                        "style": group[0].verdict.replace(" ", "-"),
                        "rule": _rule(group[0].part),
                        "plot": _plot(group[0]),
                    }
                    for group, place in _merged(study, claim)
                ],
            }
            for claim in _asked(study)
        ],
    }


def _rule(part: Part) -> str:
    """A rule with its version and date; how it was changed is told in the introduction."""
    after = ", changed after records had been seen" if part.registration.after_records else ""
    return f"{part.rule} ({part.registration}{after})"


def _counts(study: Study, claim: Claim, place: str) -> list[dict[str, str]]:
    """How often each verdict stands at one place of the overview."""
    counts = Counter(
        f.verdict for f in study.verdicts if f.claim.id == claim.id and _place(study, f) == place
    )
    several = sum(counts.values()) > 1
    return [
        {
            "mark": MARKS[verdict],
            "style": verdict.replace(" ", "-"),
            "text": f"{counts[verdict]} {verdict}" if several else verdict,
        }
        for verdict in ORDER
        if counts[verdict]
    ]


REACH = 8.0
"""Ratio at the ends of the drawn axis."""


def _plot(finding: Finding) -> dict[str, float] | None:
    """Where a ratio and its interval lie on a logarithmic axis, in 0 .. 100; 50 is a ratio of 1."""
    test = finding.test
    if test is None or not finding.part.ratio:
        return None

    def place(x: float) -> float:
        share = math.log(x) / math.log(REACH) if x > 0 else -1.0
        return round(50 + 50 * max(-1.0, min(1.0, share)), 2)

    plot = {"low": place(test.low), "high": place(test.high)}
    return plot if math.isnan(test.estimate) else plot | {"estimate": place(test.estimate)}


TABLE = DeclaredTable(
    section=None,
    rank=10,
    build=claims,
    columns=(
        "claim", "question", "claimed", "sources", "compared", "rule", "rule_version",
        "rule_date", "changed_after_records", "experiment", "dataset", "accounting",
        "verdict", "estimate", "low", "high", "level", "p_unadjusted", "p_holm",
        "comparisons", "replicates", "missing", "sentence", "others",
    ),
)  # fmt: skip
