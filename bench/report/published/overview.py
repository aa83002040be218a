"""The overview of the published runs: a row a run, with its answers in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from bench.markdown import table
from bench.report.findings.leaders import in_front
from bench.report.findings.words import counted, evaluations
from bench.report.learning_rates import edges, winners
from bench.report.published.run import Run
from bench.report.study import Panel, Study

SOME = 8
"""Evaluations whose leader is told beside those at the fewest and the most."""


def overview(runs: Sequence[Run], question: Callable[[str], str]) -> str:
    """A table in Markdown.

    Args:
        runs: what is published.
        question: what the experiment of a name is for.
    """
    rows = [
        [
            f"[{run.name}](#{run.name})",
            question(run.name),
            "<br>".join(panel.title for panel in run.study.panels),
            f"{run.version}<br>{run.date}",
            str(len(run.experiment.seeds)),
            "<br>".join(_answers(run)),
        ]
        for run in runs
    ]
    return table(["run", "what for", "data", "version, day", "seeds", "who is in front"], rows)


def _answers(run: Run) -> Iterator[str]:
    if run.is_tuning:
        scored = run.rate_scores
        chosen = sum(len(by_label) for by_label in winners(scored).values())
        yield (
            f"{chosen} learning rates chosen; {len(edges(scored))} at an end of the grid or "
            "without a score"
        )
        return
    for panel in run.study.panels:
        yield front(run.study, panel)


def front(study: Study, panel: Panel) -> str:
    """Who is in front at the fewest, some and the most evaluations of a data set."""
    swept = study.nfe(panel)
    if not swept:
        return f"{panel.title}: no value"
    parts = []
    for nfe in (n for n in swept if n in (swept[0], SOME, swept[-1])):
        labels, how = in_front(study, panel, nfe)
        names = counted([study.titles[label] for label in labels])
        parts.append(f"{evaluations(nfe)}: {names} ({how})")
    return f"{panel.title}, {'; '.join(parts)}"
