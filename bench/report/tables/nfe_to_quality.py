"""Evaluations needed to come within a factor of the best: the table ``nfe_to_quality``."""

from __future__ import annotations

import math

import pandas as pd

from bench.evidence.samplers import COMMON_SOLVER
from bench.evidence.statistics.crossings import order_statistics
from bench.report.declared import DeclaredTable
from bench.report.numbers import (
    MISSING,
    crossing,
    fraction,
    plain,
)
from bench.report.study import Study
from bench.report.table import BLOCK, FAILED, NOT_APPLICABLE, Table


def nfe_to_quality(study: Study) -> Table:
    """Evaluations needed for common quality targets, with selected and common sampler."""
    data, text = [], []
    kinds = {"selected sampler": study.selected, COMMON_SOLVER: study.common}
    for panel in study.panels:
        expected = study.expected(panel)
        for label in study.labels(panel):
            line = {BLOCK: panel.title, "formulation": study.titles[label]}
            for factor, target in study.targets(panel).items():
                for kind, chosen in kinds.items():
                    summary = study.crossing(panel, label, chosen, target)
                    column = f"{factor:g}x best, {kind}"
                    if summary is None:
                        failed = len(study.failures(panel, label)) > 0
                        line[column] = FAILED if failed else NOT_APPLICABLE
                        continue
                    line[column] = crossing(summary, expected)
                    inside = summary.interval
                    data.append(
                        {
                            "experiment": panel.experiment,
                            "dataset": panel.dataset,
                            "label": label,
                            "metric": panel.primary,
                            "factor": factor,
                            "target": target,
                            "sampler": kind,
                            "nfe": inside.estimate if inside else summary.median,
                            "low": inside.low if inside else math.nan,
                            "high": inside.high if inside else math.nan,
                            "median": summary.median,
                            "median_low": summary.low,
                            "median_high": summary.high,
                            "median_coverage": summary.coverage,
                            "censored_above": math.nan if inside else summary.limit,
                            "seeds_reaching": summary.reached,
                            "seeds": summary.n,
                            "seeds_expected": expected,
                        }
                    )
            text.append(line)
    targets = "; ".join(
        f"{panel.title}: {', '.join(plain(t) for t in study.targets(panel).values())}"
        for panel in study.panels
    )
    caption = (
        "Evaluations until the primary metric first falls to a target that is common to all: 1.1 "
        "and 1.5 times the lowest seed mean at the largest NFE over the formulations "
        f"({targets}). Interpolated on log-log axes between swept NFEs for each seed, never "
        "extrapolated: '> 64' means that the largest NFE swept does not reach the target. "
        "Geometric mean over seeds and 95% Student t interval on the log scale where every seed "
        "reaches it inside the sweep. Elsewhere the median over seeds, with the interval between "
        f"order statistics, a bound of which may lie beyond the sweep{_coverages(study)}. The "
        "error of the target, common to all, is in no interval."
    )
    return Table(
        "nfe_to_quality",
        "Evaluations needed for a quality",
        caption,
        pd.DataFrame(data),
        pd.DataFrame(text).fillna(MISSING),
    )


def _coverages(study: Study) -> str:
    """What the order-statistic interval of the median covers, by number of seeds."""
    counts = sorted({study.expected(panel) for panel in study.panels if study.expected(panel) > 1})
    covered = "; ".join(f"{fraction(order_statistics(n)[1])} for {n} seeds" for n in counts)
    return f" (it covers the median in {covered})" if covered else ""


TABLE = DeclaredTable(
    section="quality",
    rank=20,
    build=nfe_to_quality,
    columns=(
        "experiment", "dataset", "label", "metric", "factor", "target", "sampler",
        "nfe", "low", "high", "median", "median_low", "median_high",
        "median_coverage", "censored_above", "seeds_reaching", "seeds",
        "seeds_expected",
    ),
)  # fmt: skip
