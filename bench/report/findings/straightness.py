"""How straight samples travel, by each figure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from bench.evidence.statistics.comparisons import all_pairs
from bench.report.findings.words import counted
from bench.report.numbers import bracket
from bench.report.study import CROWDED, Panel, Study
from bench.report.titles import STRAIGHTNESS, metric_title


def straightest(study: Study, panel: Panel) -> Iterator[str]:
    """The formulations by each straightness figure, and which neighbours are not told apart."""
    for metric in STRAIGHTNESS:
        values = {
            label: by_seed
            for label in study.labels(panel)
            if (by_seed := _by_seed(study, panel, label, metric))
        }
        means = {label: study.model_metric(panel, label, metric) for label in values}
        order = sorted(values, key=lambda label: means[label].estimate)
        if len(order) < 2:
            continue
        shown = [f"{study.titles[label]} {bracket(means[label])}" for label in order]
        text = f"By {metric_title(metric)}, from the lowest: {', '.join(shown[:CROWDED])}"
        if len(order) > CROWDED:
            text += f" and {len(order) - CROWDED} more"
        apart = {frozenset(pair.labels): pair.apart for pair in all_pairs(values)}
        neighbours = list(pairwise(order))[: CROWDED - 1]
        close = [
            f"{study.titles[a]} from {study.titles[b]}"
            for a, b in neighbours
            if not apart.get(frozenset((a, b)), False)
        ]
        if study.expected(panel) < 2:
            yield f"{text}; a single seed tells none apart."
        elif close:
            yield f"{text}; these seeds do not tell {counted(close, len(close))}."
        else:
            yield f"{text}; each is told apart from the next."


def _by_seed(study: Study, panel: Panel, label: str, metric: str) -> dict[int, float]:
    """A metric that each model has once."""
    means = study.rows(panel, label, metric).groupby("train_seed")["value"].mean()
    return dict(zip(map(int, means.index), map(float, means), strict=True))
