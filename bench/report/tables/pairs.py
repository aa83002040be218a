"""Every pair of formulations at every number of evaluations: the table ``pairs``."""

from __future__ import annotations

import pandas as pd

from bench.evidence.statistics.comparisons import LEVEL_OF_PAIRS, Pair, all_pairs
from bench.report.declared import DeclaredTable
from bench.report.numbers import MISSING, bracket, seeds
from bench.report.study import CROWDED, Panel, Study
from bench.report.table import BLOCK, INTERVAL_COLUMNS, Table, columns_of

APART = "*"


def pairs(study: Study) -> Table:
    """Paired ratios of the primary metric, adjusted over the pairs at one number of evaluations."""
    data, lines = [], []
    for panel in study.panels:
        families = {nfe: compared(study, panel, nfe) for nfe in study.nfe(panel)}
        shown: dict[frozenset[str], dict[str, str]] = {}
        for nfe, family in families.items():
            for pair in family:
                data.append(_columns(study, panel, nfe, pair, len(family)))
                cell = _cell(study, panel, pair)
                shown.setdefault(frozenset(pair.labels), {})[f"NFE {nfe}"] = cell
        order = {label: place for place, label in enumerate(study.labels(panel))}
        leader = _leader(families)
        for labels in sorted(shown, key=lambda pair: sorted(order[label] for label in pair)):
            if len(order) > CROWDED and leader not in labels:
                continue
            first, second = sorted(labels, key=order.__getitem__)
            name = f"{study.titles[first]} and {study.titles[second]}"
            lines.append({BLOCK: panel.title, "formulation": name} | shown[labels])
    caption = (
        "Paired ratios of the primary metric, each with its selected sampler: the better one over "
        "the other, geometric mean over the seeds that both have, with its 95% Student t "
        f"interval on the log scale. {APART} marks pairs that are told apart: a two-sided paired t "
        "test, adjusted by Holm's method over all pairs of a data set at that number of "
        f"evaluations, has p of at most {LEVEL_OF_PAIRS:g}. Pairs without it are not told apart by "
        "these seeds, which is no equality. Where there are more than "
        f"{CROWDED} formulations, the pairs with the one that is best at the most evaluations are "
        "shown; the CSV has them all."
    )
    return Table(
        "pairs",
        "Every pair of formulations",
        caption,
        pd.DataFrame(data),
        pd.DataFrame(lines).fillna(MISSING),
    )


def compared(study: Study, panel: Panel, nfe: int) -> list[Pair]:
    """Every pair of formulations at one number of evaluations, adjusted together."""
    return all_pairs({label: study.by_seed(panel, label, nfe) for label in study.labels(panel)})


def _leader(families: dict[int, list[Pair]]) -> str | None:
    """The label that beats all it meets at the most evaluations."""
    last = next((family for _, family in sorted(families.items(), reverse=True) if family), [])
    labels = {label for pair in last for label in pair.labels}
    return next(iter(labels - {pair.labels[1] for pair in last}), None)


def _cell(study: Study, panel: Panel, pair: Pair) -> str:
    better = study.titles[pair.labels[0]]
    mark = f" {APART}" if pair.apart else ""
    count = seeds(pair.ratio.n, study.expected(panel))
    return f"{better}\n{bracket(pair.ratio)}{mark}{count}"


def _columns(study: Study, panel: Panel, nfe: int, pair: Pair, family: int) -> dict[str, object]:
    return {
        "experiment": panel.experiment,
        "dataset": panel.dataset,
        "metric": panel.primary,
        "nfe": nfe,
        "label": pair.labels[0],
        "over": pair.labels[1],
        **columns_of(pair.ratio, study.expected(panel)),
        "p": pair.p,
        "p_adjusted": pair.adjusted,
        "pairs": family,
        "apart": pair.apart,
    }


TABLE = DeclaredTable(
    section="quality",
    rank=25,
    build=pairs,
    columns=(
        "experiment", "dataset", "metric", "nfe", "label", "over",
        *INTERVAL_COLUMNS, "p", "p_adjusted", "pairs", "apart",
    ),
)  # fmt: skip
