"""How far from real samples the formulations are, and who loses to a baseline."""

from __future__ import annotations

from collections.abc import Iterator

from bench.evidence.statistics.floor import over_floor
from bench.report.findings.words import listed
from bench.report.numbers import banded, bracket, plain
from bench.report.study import Panel, Study
from bench.report.titles import REAL


def _lowest(study: Study, panel: Panel) -> dict[str, float]:
    """Lowest mean of each label."""
    return {
        label: min(i.estimate for i in curve.values())
        for label in study.labels(panel)
        if (curve := study.curve(panel, label, study.selected))
    }


def against_floor(study: Study, panel: Panel) -> Iterator[str]:
    """The lowest mean over the floor, and which cells are at it."""
    floor = study.floors.level(panel, REAL)
    best = _lowest(study, panel)
    if floor is None or not best:
        return
    label = min(best, key=lambda name: best[name])
    curve = study.curve(panel, label, study.selected)
    nfe = min(curve, key=lambda n: curve[n].estimate)
    over = over_floor(study.by_seed(panel, label, nfe).values(), floor)
    yield (
        f"The lowest mean of all, {study.titles[label]} with {bracket(curve[nfe])} at {nfe}, is "
        f"{bracket(over)} times the floor of {banded(floor)} that real samples reach against "
        "the same held-out data."
    )
    if len(floor.draws) < 2:
        yield ("The floor was drawn once, so that no cell can be told to be at it.")
        return
    there = {
        name: [n for n in study.nfe(panel) if study.floors.at_floor(panel, name, n)]
        for name in best
    }
    told = [
        f"{study.titles[name]} at {listed([str(n) for n in counts])}"
        for name, counts in there.items()
        if counts
    ]
    if told:
        yield f"At the floor, not told from real samples: {'; '.join(told)} evaluations."
    else:
        yield "No formulation is at the floor at any number of evaluations."


def baselines(study: Study, panel: Panel) -> Iterator[str]:
    """Who does not beat a fitted Gaussian or an untrained network."""
    best = _lowest(study, panel)
    for key, what in (("floor.gaussian", "fitted Gaussian"), ("floor.untrained", "untrained net")):
        level = study.floors.level(panel, key)
        if level is None:
            continue
        losing = [study.titles[name] for name, value in best.items() if value >= level.value]
        if losing:
            yield f"Do not beat the {what} ({plain(level.value)}): {', '.join(losing)}."
        else:
            yield f"All formulations beat the {what} ({plain(level.value)}) at their best."
