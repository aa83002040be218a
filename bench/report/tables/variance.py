"""What the seeds differ by: retraining and resampling error, and the seeds a difference needs."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import pandas as pd

from bench.evidence.statistics.components import (
    Components,
    bank_values,
    label_components,
    most_evaluations,
    paired_components,
    paired_components_at,
    pooled,
)
from bench.evidence.statistics.power import MOST_SEEDS, seeds_needed, smallest_ratio
from bench.experiment.cells import SCORING
from bench.report.declared import DeclaredTable
from bench.report.numbers import MISSING, fraction, plain
from bench.report.study import Panel, Study
from bench.report.table import BLOCK, Table, absent
from bench.report.titles import metric_title

RATIOS = (1.05, 1.1, 1.2)
ALL_PAIRS = "all pairs"

MANY = 8
"""Evaluations from which on a comparison of final quality counts."""

RESOLVED = f"all pairs, {MANY} or more"
GOAL = 1.15
"""Ratio that the seeds of a run are to see at :data:`MANY` or more evaluations."""

SEEN = "smallest ratio seen"


def variance(study: Study) -> Table:
    """Variance components of the primary metric, and what a paired comparison needs."""
    data, text = [], []
    for panel in study.panels:
        values = bank_values(panel.of(study.cells), panel.of(study.selected))
        compared = combinations(study.labels(panel), 2) if study.expected(panel) > 1 else ()
        pairs = {
            frozenset(pair): pair_components
            for pair in compared
            if (pair_components := paired_components(values, *pair)) is not None
        }
        resolved = resolution(study, panel, values)
        if resolved is not None:
            data.append(_columns(study, panel, None, resolved) | {"label": RESOLVED, "goal": GOAL})
            line = {BLOCK: panel.title, "formulation": ALL_PAIRS, "NFE": f"{MANY} or more"}
            text.append(line | _cells(data[-1]))
        for label in study.labels(panel):
            nfe = most_evaluations(values, label)
            components = None if nfe is None else label_components(values, label, nfe)
            line = {BLOCK: panel.title, "formulation": study.titles[label]}
            if components is None or nfe is None:
                text.append(line | {"NFE": absent(study, panel, label)})
                continue
            paired = pooled(
                pair_components for pair, pair_components in pairs.items() if label in pair
            )
            data.append(_columns(study, panel, components, paired) | {"label": label, "nfe": nfe})
            text.append(line | {"NFE": str(nfe)} | _cells(data[-1]))
        every = pooled(pairs.values())
        if every is not None:
            data.append(_columns(study, panel, None, every) | {"label": ALL_PAIRS})
            line = {BLOCK: panel.title, "formulation": ALL_PAIRS, "NFE": MISSING}
            text.append(line | _cells(data[-1]))
    metrics = "; ".join(f"{p.title}: {metric_title(p.primary)}" for p in study.panels)
    caption = (
        f"First stands what the seeds of a run resolve: the smallest ratio that they see at {MANY} "
        f"or more evaluations, the mean of the variances over all pairs and numbers swept, against "
        f"the goal of {GOAL:g}. Then why seeds differ, for the log of the primary metric "
        f"({metrics}) with the selected "
        "sampler at the most evaluations of each formulation; a standard deviation of 10% means "
        "values about 10% apart. Retraining: between models of different training seeds, with "
        "its 95% interval (modified large-sample); more samples do not lower it. Resampling: "
        "between noise banks of one model, at the samples that are scored. Their variances are "
        "told apart by one-way random effects over seeds and banks; a retraining variance "
        "estimated below zero is set to zero, which overstates small ones on average. Paired: "
        "standard deviation over seeds, both errors together, of the log ratio to another "
        "formulation at the most evaluations that both have; the mean of the variances over the "
        "others. Seeds: those that a paired t test at level 5% needs to see that ratio with a "
        "probability of 80%. These are estimates from few seeds: read them as orders of magnitude."
    )
    frame = pd.DataFrame(text).fillna(MISSING)
    tidy = pd.DataFrame(data)
    tidy = tidy[[name for name in TABLE.columns if name in tidy]]
    first = [name for name in (BLOCK, "formulation", "NFE", SEEN) if name in frame]
    frame = frame[[*first, *frame.columns.drop(first)]]
    return Table("variance", "What the seeds differ by", caption, tidy, frame)


def resolution(study: Study, panel: Panel, values: pd.DataFrame | None = None) -> Components | None:
    """Components of the paired log ratio at :data:`MANY` or more evaluations, over all pairs.

    Args:
        study, panel: whose.
        values: :func:`bank_values` of the panel, where they are at hand.

    Returns:
        The mean over pairs of formulations and the numbers of evaluations swept; None where no
        pair has one.
    """
    if study.expected(panel) < 2:
        return None
    if values is None:
        values = bank_values(panel.of(study.cells), panel.of(study.selected))
    counts = [nfe for nfe in study.nfe(panel) if nfe >= MANY]
    found = (
        paired_components_at(values, *pair, nfe)
        for pair in combinations(study.labels(panel), 2)
        for nfe in counts
    )
    return pooled(part for part in found if part is not None)


def resolved_ratio(study: Study, panel: Panel) -> float | None:
    """The smallest ratio that the seeds of a panel see at :data:`MANY` or more evaluations."""
    components = resolution(study, panel)
    if components is None:
        return None
    samples = study.experiment(panel).sweep_of(panel.dataset).samples[SCORING]
    return smallest_ratio(components.spread.total(samples), study.expected(panel))


def against_goal(ratio: float) -> str:
    """A ratio, and on which side of :data:`GOAL` it lies; with more digits where few hide that."""
    side = "within" if ratio <= GOAL else "beyond"
    shown = plain(ratio)
    if shown == plain(GOAL) and ratio != GOAL:
        shown = f"{ratio:.4f}"
    return f"{shown}, {side} the goal of {GOAL:g}"


def _columns(
    study: Study, panel: Panel, components: Components | None, paired: Components | None
) -> dict[str, Any]:
    """The numbers of one row, of ``components`` and ``paired`` where they are known."""
    samples = study.experiment(panel).sweep_of(panel.dataset).samples[SCORING]
    row: dict[str, Any] = {
        "experiment": panel.experiment,
        "dataset": panel.dataset,
        "metric": panel.primary,
        "samples": samples,
    }
    if components is not None:
        low, high = components.retraining_interval()
        row |= {
            "retraining_sd": components.spread.retraining,
            "retraining_low": low,
            "retraining_high": high,
            "retraining_variance": components.untruncated,
            "resampling_sd": components.spread.resampling(samples),
            "share": components.spread.share(samples),
            "seeds": components.seeds,
        }
    if paired is not None:
        deviation = paired.spread.total(samples)
        needed = {f"seeds_for_{ratio:g}": seeds_needed(ratio, deviation) for ratio in RATIOS}
        row |= {
            "paired_retraining_sd": paired.spread.retraining,
            "paired_resampling_sd": paired.spread.resampling(samples),
            "paired_sd": deviation,
            "smallest_ratio": smallest_ratio(deviation, study.expected(panel)),
            **needed,
        }
    return row


def _cells(row: dict[str, Any]) -> dict[str, str]:
    """The same as a reader sees it."""
    shown = {}
    if "retraining_sd" in row:
        bounds = f"{fraction(row['retraining_low'])}, {fraction(row['retraining_high'])}"
        shown = {
            "retraining": f"{fraction(row['retraining_sd'])} [{bounds}]",
            f"resampling at {row['samples']:,}": fraction(row["resampling_sd"]),
            "share of retraining": fraction(row["share"]),
        }
    if "paired_sd" in row:
        shown["paired"] = fraction(row["paired_sd"])
        for ratio in RATIOS:
            needed = row[f"seeds_for_{ratio:g}"]
            shown[f"seeds to see {ratio - 1:.0%}"] = (
                f"> {MOST_SEEDS:,}" if needed is None else str(needed)
            )
        smallest = row["smallest_ratio"]
        told = against_goal(smallest) if "goal" in row else plain(smallest)
        shown[SEEN] = MISSING if math.isinf(smallest) else told
    return shown


TABLE = DeclaredTable(
    section="quality",
    rank=70,
    build=variance,
    columns=(
        "experiment", "dataset", "metric", "samples", "smallest_ratio", "goal",
        "retraining_sd",
        "retraining_low", "retraining_high", "retraining_variance", "resampling_sd",
        "share", "seeds", "paired_retraining_sd", "paired_resampling_sd", "paired_sd",
        *(f"seeds_for_{ratio:g}" for ratio in RATIOS), "label",
        "nfe",
    ),
)  # fmt: skip
