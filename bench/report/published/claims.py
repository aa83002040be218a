"""Verdicts on what is claimed, from all runs that answer together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import pandas as pd

from bench.evidence.claims import Finding, Verdict
from bench.evidence.version import running
from bench.report.findings.words import listed
from bench.report.published.run import Run, joined
from bench.report.study import Study
from bench.report.tables.claims import ACCOUNTINGS, ORDER, show

WORDS: dict[Verdict, str] = {
    "supported": "Supported",
    "refuted": "Refuted",
    "inconclusive": "Open",
    "not tested": "Not tested",
}


def join(runs: Sequence[Run]) -> Study:
    """One study of several runs."""
    if len(runs) == 1:
        return runs[0].study
    return Study(
        pd.concat([run.study.records for run in runs], ignore_index=True),
        [run.experiment for run in runs],
        {},
        {run.name: run.manifest for run in runs},
    )


def counted(findings: Sequence[Finding]) -> str:
    """How many comparisons have each verdict; what could not be tested stands apart."""
    counts = Counter(finding.verdict for finding in findings)
    tested = sum(count for verdict, count in counts.items() if verdict != "not tested")
    return (
        f"Of {tested} comparisons that were tested {counts['supported']} support what is claimed, "
        f"{counts['refuted']} refute it, and {counts['inconclusive']} are not settled; "
        f"{counts['not tested']} could not be tested"
    )


def verdicts(runs: Sequence[Run]) -> str:
    """Every claim with the verdicts on its comparisons, data set by data set, as Markdown."""
    together = joined(runs)
    if not together:
        return "No run that compares formulations is published."
    study = join(together)
    names = listed([f"[{run.name}](#{run.name})" for run in together])
    lines = [
        f"From {names}, joined, by the rules of version {running()['version']}. "
        f"{counted(study.verdicts)}. Each stands with its effect and interval, the run that gave "
        "it and its accounting, and what other runs measured where that differs. Rules, sources "
        "and what was changed after records had been seen stand in the first section of a joined "
        "report.",
    ]
    for claim in dict.fromkeys(finding.claim for finding in study.verdicts):
        lines += ["", f"**{claim.id}. {claim.question}**", ""]
        findings = [f for f in study.verdicts if f.claim.id == claim.id]
        datasets = dict.fromkeys(f.dataset for f in findings)
        for dataset in datasets:
            lines += _of_dataset(study, dataset, [f for f in findings if f.dataset == dataset])
    return "\n".join(lines)


def verdicts_of_its_own(run: Run, runs: Sequence[Run]) -> Iterator[str]:
    """Lines on the data sets of a run that no joined run has: a claim and data set each."""
    known = {dataset for one in joined(runs) for dataset in one.experiment.datasets}
    for dataset in run.experiment.datasets:
        if dataset in known or run.is_ladder:
            continue
        findings = [f for f in run.study.verdicts if f.dataset == dataset and f.test is not None]
        for claim in dict.fromkeys(finding.claim for finding in findings):
            same = [finding for finding in findings if finding.claim == claim]
            yield from _of_dataset(run.study, dataset, same, f"{claim.id}. {claim.question} ")


def _of_dataset(
    study: Study, dataset: str, findings: Sequence[Finding], question: str = ""
) -> Iterator[str]:
    """A line a data set, and below it one a comparison, ordered by verdict."""
    panel = next(panel for panel in study.panels if panel.dataset == dataset)
    yield f"* {question}{study.experiment(panel).described(dataset).title}"
    for verdict in ORDER:
        having = [finding for finding in findings if finding.verdict == verdict]
        if verdict == "not tested" and having:
            reasons = dict.fromkeys(finding.missing for finding in having)
            yield f"    * Not tested, {len(having)}: {'; '.join(reasons)}."
        else:
            yield from (f"    * {WORDS[verdict]}. {_evidence(finding)}" for finding in having)


def _evidence(finding: Finding) -> str:
    """The finding in words, the run that gave it, and what other runs measured."""
    assert finding.test is not None
    effect = show(finding.test)
    budget = ACCOUNTINGS.get(finding.accounting or "", "")
    where = ", ".join(word for word in (finding.experiment, budget) if word)
    others = "".join(
        f"; {name}: {shown}" for name, test in finding.others if (shown := show(test)) != effect
    )
    return f"{finding.sentence(show)} ({where}{others})"
