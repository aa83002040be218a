"""What the models have cost: budgets by stage, core-seconds by kind of work, and the plan's."""

from __future__ import annotations

import math

import pandas as pd

from bench.experiment.costs import KINDS, Plan
from bench.report.study import Panel, Study

SUMS = ("updates", "samples", "flops", "network_passes", "device_seconds", "coupling_seconds",
         "wall_seconds")  # fmt: skip


def budget_rows(study: Study, panel: Panel, label: str) -> pd.DataFrame:
    """Means over seeds of what each stage planned, spent and measured; stages in their order."""
    wide = study.charges(panel, label)
    if wide.empty:
        return pd.DataFrame()
    summed = pd.DataFrame({kind: wide.filter(regex=rf"\.{kind}$").sum(axis=1) for kind in SUMS})
    for kind in ("planned", "spent", "peak_memory_bytes"):
        summed[kind] = wide.get(kind, math.nan)
    means = summed.groupby("stage").mean()
    means["seeds"] = summed.groupby("stage").size()
    order = [s.name for s in study.experiment(panel).formulation(label).stages]
    return means.reindex([name for name in order if name in means.index])


def cost_matrix(study: Study) -> pd.DataFrame:
    """Core-seconds with a row a (experiment, dataset, label) and a column a kind."""
    costs = study.costs()
    wide = costs.fillna({"dataset": "", "label": ""}).pivot_table(
        index=["experiment", "dataset", "label"],
        columns="kind",
        values="value",
        aggfunc="sum",
        fill_value=0.0,
        sort=False,
    )
    others = sorted(set(wide.columns) - set(KINDS))
    return wide.reindex(columns=[*KINDS, *others], fill_value=0.0)


def expected_seconds(study: Study) -> dict[str, float]:
    """Core-seconds by kind that the plan expects of all experiments."""
    plans = [Plan(experiment).seconds() for experiment in study.experiments]
    return {kind: sum(plan[kind] for plan in plans) for kind in KINDS}
