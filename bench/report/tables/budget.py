"""Tables of what the models have cost: budgets by stage, core-seconds by kind of work."""

from __future__ import annotations

import math

import pandas as pd

from bench.experiment.costs import KINDS, Plan
from bench.report.numbers import (
    MISSING,
    fraction,
    plain,
    scaled,
    seeds,
)
from bench.report.study import (
    Panel,
    Study,
)
from bench.report.tables.table import BLOCK, Table, absent

_SUMS = ("updates", "samples", "flops", "network_passes", "device_seconds", "coupling_seconds",
         "wall_seconds")  # fmt: skip


def budget_rows(study: Study, panel: Panel, label: str) -> pd.DataFrame:
    """Means over seeds of what each stage planned, spent and measured; stages in their order."""
    wide = study.charges(panel, label)
    if wide.empty:
        return pd.DataFrame()
    summed = pd.DataFrame({kind: wide.filter(regex=rf"\.{kind}$").sum(axis=1) for kind in _SUMS})
    for kind in ("planned", "spent", "peak_memory_bytes"):
        summed[kind] = wide.get(kind, math.nan)
    means = summed.groupby("stage").mean()
    means["seeds"] = summed.groupby("stage").size()
    order = [s.name for s in study.experiment(panel).formulation(label).stages]
    return means.reindex([name for name in order if name in means.index])


def budget(study: Study) -> Table:
    """The budget split by stage: planned, spent, and what was measured beside it."""
    data, text = [], []
    for panel in study.panels:
        spec = study.experiment(panel).budget
        for label in study.labels(panel):
            stages = budget_rows(study, panel, label)
            if stages.empty:
                text.append(
                    {
                        BLOCK: panel.title,
                        "formulation": study.titles[label],
                        "stage": "trained elsewhere: not known"
                        if study.is_foreign(panel, label)
                        else absent(study, panel, label),
                    }
                )
                continue
            last = stages.iloc[-1]
            whole = stages.sum().rename("all stages")
            whole["peak_memory_bytes"] = stages["peak_memory_bytes"].max()
            whole["seeds"] = stages["seeds"].min()
            # The last stage plans with what the ones before it left: sums would count that twice.
            declared = study.experiment(panel).formulation(label).stages
            whole["planned"] = sum(
                study.experiment(panel).stage_budget(panel.dataset, label, stage.name)
                for stage in declared
            )
            lines = [(str(name), row) for name, row in stages.iterrows()]
            for stage, row in [*lines, *([("all stages", whole)] if len(lines) > 1 else [])]:
                final = stage == "all stages" or len(lines) == 1
                own = last["spent"] if final else math.nan
                ratio = row["spent"] / row["planned"] if row["planned"] else math.nan
                data.append(
                    {
                        "experiment": panel.experiment,
                        "dataset": panel.dataset,
                        "label": label,
                        "stage": stage,
                        "unit": spec.unit,
                        "accounting": spec.accounting,
                        "budget_total": spec.amount[panel.dataset],
                        "planned": row["planned"],
                        "spent": row["spent"],
                        "spent_over_planned": ratio,
                        "share_of_spent": row["spent"] / whole["spent"],
                        "spent_without_upstream": own,
                        **{kind: row[kind] for kind in _SUMS},
                        "peak_memory_bytes": row["peak_memory_bytes"],
                        "seeds": int(row["seeds"]),
                        "seeds_expected": study.expected(panel),
                    }
                )
                text.append(
                    {
                        BLOCK: panel.title,
                        "formulation": study.titles[label],
                        "stage": stage + seeds(int(row["seeds"]), study.expected(panel)),
                        f"planned ({_unit(spec.unit)})": scaled(row["planned"]),
                        "spent": scaled(row["spent"]),
                        "spent / planned": fraction(ratio),
                        "share": fraction(row["spent"] / whole["spent"]),
                        "updates": f"{row['updates']:,.0f}" if row["updates"] else MISSING,
                        "measured s": plain(row["device_seconds"]),
                        "coupling s": plain(row["coupling_seconds"]),
                        "peak MB": plain(row["peak_memory_bytes"] / 1e6),
                        "without upstream": scaled(own) if final else "",
                    }
                )
    accounting = {e.budget.accounting for e in study.experiments}
    words = {
        "all_in": "all-in: what is upstream of a model is charged to its one budget",
        "marginal": "marginal: what is upstream has one further full budget",
    }
    caption = (
        "What each model was given and what it spent, by stage, means over seeds ("
        + "; ".join(words[a] for a in sorted(accounting))
        + "). Measured seconds are device seconds of the stage on this machine; coupling seconds, "
        "the assignment of noise to data, are a part of them that FLOPs do not see. The last stage "
        "is given what the ones before it left. Without "
        "upstream: what the last stage alone has spent."
    )
    return Table("budget", "Budget", caption, pd.DataFrame(data), pd.DataFrame(text).fillna(""))


def _unit(unit: str) -> str:
    return {"flops": "FLOP", "network_passes": "passes", "device_seconds": "s"}[unit]


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


EVERYTHING = "Whole run"


def expected_seconds(study: Study) -> dict[str, float]:
    """Core-seconds by kind that the plan expects of all experiments."""
    plans = [Plan(experiment).seconds() for experiment in study.experiments]
    return {kind: sum(plan[kind] for plan in plans) for kind in KINDS}


def cost(study: Study) -> Table:
    """Core-seconds by import, training, sampling, metrics and timing."""
    wide = cost_matrix(study)
    kinds = list(wide.columns)
    data = wide.assign(total=wide.sum(axis=1)).reset_index()
    title = {(p.experiment, p.dataset): p.title for p in study.panels}
    text = [
        {
            "data set": title.get(
                (row["experiment"], row["dataset"]), row["dataset"] or EVERYTHING
            ),
            "what": study.titles.get(row["label"], row["label"]),
            **{kind: plain(row[kind]) for kind in kinds},
            "total": plain(row["total"]),
        }
        for _, row in data.iterrows()
    ]
    if len(data):
        sums = wide.sum()
        text.append(
            {BLOCK: EVERYTHING, "what": "measured"}
            | {kind: plain(sums[kind]) for kind in kinds}
            | {"total": plain(sums.sum())}
        )
    expected = expected_seconds(study)
    text.append(
        {BLOCK: EVERYTHING, "what": "expected by plan"}
        | {kind: plain(expected.get(kind, math.nan)) for kind in kinds}
        | {"total": plain(sum(expected.values()))}
    )
    caption = (
        "Core-seconds (CPU time of the processes) that the run has spent: importing libraries, "
        "training, sampling, metrics and timing; sums over all seeds. Work that was finished "
        "before a run was started again counts with what it cost when it was done. Expected: what "
        "the plan says beforehand, for its reference machine."
    )
    columns = ["data set", "what", *kinds, "total"]
    frame = pd.DataFrame(text, columns=columns)
    return Table("cost", "Core-seconds", caption, data, frame)
