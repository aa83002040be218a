"""What the front page shows of the default run: a short table and a few sentences."""

from __future__ import annotations

from collections.abc import Sequence

from bench.markdown import table
from bench.report.findings.leaders import leader
from bench.report.findings.words import listed
from bench.report.numbers import MISSING, banded, bracket
from bench.report.published.claims import counted, join
from bench.report.published.run import FIRST, Run, joined
from bench.report.study import Panel, Study
from bench.report.tables.variance import MANY, against_goal, resolved_ratio
from bench.report.titles import REAL, metric_title

SHOWN = (1, 2, 8)
"""Evaluations of the short table, beside the most."""


def _columns(study: Study) -> list[int]:
    swept = sorted({nfe for panel in study.panels for nfe in study.nfe(panel)})
    return [nfe for nfe in swept if nfe in SHOWN or nfe == swept[-1]]


def front_table(study: Study) -> str:
    """The primary metric of every formulation at a few numbers of evaluations."""
    columns = _columns(study)
    rows = [
        [
            f"{panel.title}, {metric_title(panel.primary)}" if place == 0 else "",
            study.titles[label],
            *(_cell(study, panel, label, nfe) for nfe in columns),
            banded(study.floors.level(panel, REAL)) if place == 0 else "",
        ]
        for panel in study.panels
        for place, label in enumerate(study.labels(panel))
    ]
    return table(["data", "formulation", *(f"NFE {n}" for n in columns), "floor"], rows)


def _cell(study: Study, panel: Panel, label: str, nfe: int) -> str:
    point = study.curve(panel, label, study.selected).get(nfe)
    return MISSING if point is None else bracket(point)


def results(runs: Sequence[Run]) -> str:
    """Table and sentences of the default run, as Markdown; a sentence where it is not published."""
    run = next((run for run in runs if run.name == FIRST), None)
    if run is None:
        return "No default run is published."
    study = run.study
    said = []
    for panel in study.panels:
        swept = study.nfe(panel)
        for nfe in dict.fromkeys((swept[0], swept[-1])) if swept else ():
            said.append(f"{panel.title}. {leader(study, panel, nfe)}")
    seen = {panel.title: resolved_ratio(study, panel) for panel in study.panels}
    shown = [f"{title} {against_goal(ratio)}" for title, ratio in seen.items() if ratio is not None]
    if shown:
        said.append(
            f"The smallest ratio that {len(run.experiment.seeds)} seeds see at {MANY} or more "
            f"evaluations: {'; '.join(shown)}."
        )
    together = joined(runs)
    names = listed([f"`{one.name}`" for one in together])
    said.append(f"{counted(join(together).verdicts)} (from {names}).")
    lines = "\n".join(f"* {sentence}" for sentence in said)
    made = (
        f"Made by version {run.version} on {run.date}: {len(run.experiment.seeds)} seeds, "
        "lower is better, the best sampler of each."
    )
    return f"{made}\n\n{front_table(study)}\n\n{lines}"
