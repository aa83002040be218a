"""Whether samples are copies of training data, and what that does to a distance."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from bench.evidence.statistics import Interval, interval
from bench.evidence.statistics.comparisons import LEVEL_OF_PAIRS, all_pairs, holm, tail
from bench.evidence.statistics.intervals import student_t
from bench.experiment.sections import RUNG
from bench.experiment.spec import rung, untuned
from bench.report.findings.words import evaluations, listed
from bench.report.floors import COPYING
from bench.report.numbers import banded, bracket, plain
from bench.report.study import Panel, Study
from bench.report.titles import COPIES, HELD_OUT, metric_title


def by_seed(study: Study, panel: Panel, label: str, nfe: int, metric: str) -> dict[int, float]:
    """A metric of each seed with the selected sampler."""
    rows = study.at_selected(panel)
    keep = (rows["label"] == label) & (rows["nfe"] == nfe) & (rows["metric"] == metric)
    rows = rows[keep.fillna(False)].dropna(subset="value")
    means = rows.groupby("train_seed")["value"].mean()
    return dict(zip(map(int, means.index), map(float, means), strict=True))


def copying(study: Study, panel: Panel) -> Iterator[str]:
    """Memorisation at the most evaluations, what real samples and copies score, marked cells."""
    rows = study.at_selected(panel)
    rows = rows[(rows["metric"] == "memorisation") & (rows["nfe"] == rows["nfe"].max())]
    rows = rows.dropna(subset="value")
    if rows.empty:
        return
    means = rows.groupby("label")["value"].mean().astype(float)
    high = str(means.idxmax())
    yield (
        f"Memorisation at {rows['nfe'].max()} evaluations lies between {plain(means.min())} "
        f"and {plain(means.max())} ({study.titles[high]}); 0.5 means that samples are no "
        "nearer to training data than to unseen data."
    )
    yield from baselines_of_copying(study, panel)
    if not study.floors.tells_copies(panel):
        return
    marked = {
        label: [n for n in study.nfe(panel) if study.floors.copies(panel, label, n)]
        for label in study.labels(panel)
    }
    told = [
        f"{study.titles[label]} at {listed([str(n) for n in counts])}"
        for label, counts in marked.items()
        if counts
    ]
    if told:
        yield (
            "Nearer to training data than held-out samples are, so that a low distance says "
            f"little: {'; '.join(told)} evaluations."
        )
    else:
        yield "No cell is nearer to training data than held-out samples are."


def baselines_of_copying(study: Study, panel: Panel) -> Iterator[str]:
    """What held-out samples and a perfect copier score."""
    parts = []
    for name, what in ((HELD_OUT, "Real held-out samples"), (COPIES, "training data drawn again")):
        levels = [
            f"{metric_title(metric)} {banded(level)}"
            for metric in (panel.primary, *COPYING)
            if (level := study.floors.level(panel, name, metric)) is not None
        ]
        if levels:
            parts.append(f"{what}: {', '.join(levels)}")
    if parts:
        text = "; ".join(parts)
        yield f"{text[0].upper()}{text[1:]}."


def rungs(study: Study, panel: Panel) -> dict[str, list[str]]:
    """Labels of a ladder of budgets, the smallest first, by the label that they multiply."""
    found: dict[str, list[str]] = {}
    for label in study.labels(panel):
        if RUNG in label:
            found.setdefault(untuned(label), []).append(label)
    return {base: sorted(labels, key=rung) for base, labels in found.items() if len(labels) > 1}


def last_shared(study: Study, panel: Panel, labels: list[str]) -> int | None:
    """The most evaluations at which all labels have a value."""
    curves = [set(study.curve(panel, label, study.selected)) for label in labels]
    shared = set.intersection(*curves)
    return max(shared) if shared else None


def _change(before: dict[int, float], after: dict[int, float]) -> tuple[Interval, float]:
    """Mean difference within a seed, and its two-sided p-value."""
    d = np.array([after[seed] - before[seed] for seed in sorted(before.keys() & after)])
    if len(d) < 2:
        return student_t(d, "linear"), math.nan
    return student_t(d, "linear"), min(1.0, 2 * min(tail(d, 0.0), tail(-d, 0.0)))


def ladder(study: Study, panel: Panel) -> Iterator[str]:
    """What more budget does to the distance and to what tells copies, a formulation at a time.

    From the smallest to the largest multiple, paired within a seed; the p-values of one quantity
    are adjusted over the formulations by Holm's method.
    """
    groups = {
        base: (labels, nfe)
        for base, labels in rungs(study, panel).items()
        if (nfe := last_shared(study, panel, labels)) is not None
    }
    ratios = {}
    for base, (labels, nfe) in groups.items():
        ends = (labels[0], labels[-1])
        found = all_pairs({label: study.by_seed(panel, label, nfe) for label in ends})
        if found:
            ratios[base] = found[0]
    adjusted = dict(zip(ratios, holm([pair.p for pair in ratios.values()]), strict=True))
    changes = {
        metric: {
            base: _change(
                *(by_seed(study, panel, end, nfe, metric) for end in (labels[0], labels[-1]))
            )
            for base, (labels, nfe) in groups.items()
        }
        for metric in COPYING
    }
    holms = {
        metric: dict(zip(by_base, holm([p for _, p in by_base.values()]), strict=True))
        for metric, by_base in changes.items()
    }
    for base, pair in ratios.items():
        labels, nfe = groups[base]
        last = labels[-1]
        ratio = pair.ratio if pair.labels[0] == last else _inverse(pair.ratio)
        shown = ", ".join(
            bracket(study.curve(panel, label, study.selected)[nfe]) for label in labels
        )
        budgets = ", ".join(f"{rung(label):g}" for label in labels)
        name = study.titles[last].split(",")[0]
        parts = [
            f"{name} at {evaluations(nfe)} and {budgets} times the budget: "
            f"{metric_title(panel.primary)} {shown} (last over first {bracket(ratio)}, "
            f"{_told(adjusted[base])})"
        ]
        for metric, by_base in changes.items():
            change, _ = by_base[base]
            if change.n:
                values = ", ".join(
                    bracket(interval(by_seed(study, panel, label, nfe, metric).values(), metric))
                    for label in labels
                )
                parts.append(
                    f"{metric_title(metric)} {values} (last less first {bracket(change)}, "
                    f"{_told(holms[metric][base])})"
                )
        nearer = any(
            holms[metric][base] <= LEVEL_OF_PAIRS and sign * changes[metric][base][0].estimate > 0
            for metric, sign in (("memorisation", 1), ("authenticity", -1))
        )
        end = ""
        if nearer and adjusted[base] <= LEVEL_OF_PAIRS and ratio.estimate < 1:
            end = ". The distance falls while samples move to the training data"
        yield f"{'; '.join(parts)}{end}."


def _inverse(ratio: Interval) -> Interval:
    return Interval(1 / ratio.estimate, 1 / ratio.high, 1 / ratio.low, ratio.n, ratio.scale)


def _told(p: float) -> str:
    if math.isnan(p):
        return "too few seeds for a test"
    return "told apart" if p <= LEVEL_OF_PAIRS else "not told apart"
