"""The budget of every model by stage, and what was measured beside it: the table ``budget``."""

from __future__ import annotations

import math

import pandas as pd

from bench.report.costs import SUMS, budget_rows
from bench.report.declared import DeclaredTable
from bench.report.numbers import MISSING, fraction, plain, scaled, seeds
from bench.report.study import Study
from bench.report.table import BLOCK, Table, absent


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
            whole = stages.sum(min_count=1).rename("all stages")
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
                last_spent = last["spent"] if final else math.nan
                ratio = row["spent"] / row["planned"] if row["planned"] else math.nan
                data.append(
                    {
                        "experiment": panel.experiment,
                        "dataset": panel.dataset,
                        "label": label,
                        "stage": stage,
                        "unit": spec.unit,
                        "accounting": spec.accounting,
                        "budget_total": study.experiment(panel).amount(panel.dataset, label),
                        "planned": row["planned"],
                        "spent": row["spent"],
                        "spent_over_planned": ratio,
                        "share_of_spent": row["spent"] / whole["spent"],
                        "spent_without_upstream": last_spent,
                        **{kind: row[kind] for kind in SUMS},
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
                        "drawing s": plain(row["drawing_seconds"]),
                        "peak MB": plain(row["peak_memory_bytes"] / 1e6),
                        "without upstream": scaled(last_spent) if final else "",
                    }
                )
    accounting = {e.budget.accounting for e in study.experiments if e.formulations}
    words = {
        "all_in": "all-in: what is upstream of a model is charged to its one budget",
        "marginal": "marginal: what is upstream has one further full budget",
    }
    drawing = any(row["drawing_seconds"] >= 0 for row in data)
    printed = pd.DataFrame(text).fillna("")
    if not drawing:  # ledgers of before say nothing of it
        printed = printed.drop(columns="drawing s", errors="ignore")
    told = "; ".join(words[a] for a in sorted(accounting))
    caption = (
        "What each model was given and what it spent, by stage, means over seeds"
        + (f" ({told})" if told else "")
        + ". Measured seconds are device seconds of the stage on this machine; coupling seconds, "
        "the assignment of noise to data, are a part of them that FLOPs do not see"
        + (", and so are drawing seconds, the making of batches" if drawing else "")
        + ". The last stage "
        "is given what the ones before it left. Without "
        "upstream: what the last stage alone has spent."
    )
    return Table("budget", "Budget", caption, pd.DataFrame(data), printed)


def _unit(unit: str) -> str:
    return {"flops": "FLOP", "network_passes": "passes", "device_seconds": "s"}[unit]


TABLE = DeclaredTable(
    section="cost",
    rank=10,
    build=budget,
    columns=(
        "experiment", "dataset", "label", "stage", "unit", "accounting",
        "budget_total", "planned", "spent", "spent_over_planned", "share_of_spent",
        "spent_without_upstream", *SUMS, "peak_memory_bytes", "seeds",
        "seeds_expected",
    ),
)  # fmt: skip
