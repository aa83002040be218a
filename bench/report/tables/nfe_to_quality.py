"""Evaluations needed to come within a factor of the best: the table ``nfe_to_quality``."""

from __future__ import annotations

import pandas as pd

from bench.evidence.samplers import COMMON_SOLVER
from bench.evidence.statistics.intervals import order_statistics
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
                    data.append(
                        {
                            "experiment": panel.experiment,
                            "dataset": panel.dataset,
                            "label": label,
                            "metric": panel.primary,
                            "factor": factor,
                            "target": target,
                            "sampler": kind,
                            "least": summary.least,
                            "most": summary.most,
                            "low": summary.low,
                            "high": summary.high,
                            "coverage": summary.coverage,
                            "largest_nfe": summary.limit,
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
        "Evaluations after which the primary metric is first at a target that is common to all: "
        "1.1 and 1.5 times the lowest seed mean at the largest NFE over the formulations "
        f"({targets}). They are whole numbers, known between two that were swept: '5 to 8' means "
        "that 4 do not reach it and 8 do. Nothing is interpolated, nothing extrapolated: '> 64' "
        "means that the largest number swept does not reach the target. The median over seeds, "
        f"with the interval between order statistics{_coverages(study)}, where that says more. The "
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
        "least", "most", "low", "high", "coverage", "largest_nfe", "seeds_reaching", "seeds",
        "seeds_expected",
    ),
)  # fmt: skip
