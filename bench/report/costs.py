"""What the models have cost: budgets by stage, core-seconds by kind of work, and the plan's."""

from __future__ import annotations

import math

import pandas as pd

from bench.experiment.cells import SCORING, SELECTION, UNIFIED
from bench.experiment.costs import KINDS
from bench.report.floors import TRAIN
from bench.report.numbers import scaled
from bench.report.study import Panel, Study
from bench.sampling.solvers.catalogue import SOLVERS

SUMS = ("updates", "samples", "flops", "network_passes", "device_seconds", "coupling_seconds",
        "drawing_seconds", "wall_seconds")  # fmt: skip


def budget_rows(study: Study, panel: Panel, label: str) -> pd.DataFrame:
    """Means over seeds of what each stage planned, spent and measured; stages in their order.

    A kind that no ledger has is missing: ledgers of before have no seconds of drawing.
    """
    if (panel, label) not in study.budgets:
        study.budgets[panel, label] = _budget_rows(study, panel, label)
    return study.budgets[panel, label]


def _budget_rows(study: Study, panel: Panel, label: str) -> pd.DataFrame:
    wide = study.charges(panel, label)
    if wide.empty:
        return pd.DataFrame()
    summed = pd.DataFrame(
        {kind: wide[_ending(wide, kind)].sum(axis=1, min_count=1) for kind in SUMS}
    )
    for kind in ("planned", "spent", "peak_memory_bytes"):
        summed[kind] = wide.get(kind, math.nan)
    means = summed.groupby("stage").mean()
    means["seeds"] = summed.groupby("stage").size()
    order = [s.name for s in study.experiment(panel).formulation(label).stages]
    return means.reindex([name for name in order if name in means.index])


def _ending(wide: pd.DataFrame, kind: str) -> list[str]:
    """Columns of one kind, whatever was charged."""
    return [name for name in wide.columns if name.endswith(f".{kind}")]


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
    other_kinds = sorted(set(wide.columns) - set(KINDS))
    return wide.reindex(columns=[*KINDS, *other_kinds], fill_value=0.0)


def expected_seconds(study: Study) -> dict[str, float]:
    """Core-seconds by kind that the plan expected of all experiments when they started.

    Empty where one of them has stored none then: an estimate from afterwards expects nothing.
    """
    manifests = [study.manifests.get(experiment.name, {}) for experiment in study.experiments]
    estimates = [manifest.get("expected") for manifest in manifests]
    if not all(estimates):
        return {}
    return {
        kind: sum(estimate["core_seconds"].get(kind, 0.0) for estimate in estimates if estimate)
        for kind in KINDS
    }


def evaluations_of_screen(study: Study, panel: Panel) -> tuple[float, float, float] | None:
    """Network evaluations of samples that choosing and scoring samplers took, all seeds together.

    Returns:
        Those of the screens, of what was scored, and of scoring every combination beside the
        screens; None where samplers were not screened.
    """
    sweep = study.experiment(panel).sweep
    if sweep.screen is None:
        return None
    rows = study.measured(panel)
    keep = (
        (rows["metric"] == panel.primary)
        & (rows["status"] == "ok")
        & rows["train_seed"].notna()
        & rows["solver"].isin(list(SOLVERS))
        & (rows["grid"] != UNIFIED)
        & (rows["reference_set"] != TRAIN).fillna(True)
    )
    rows = rows[keep.fillna(False)]
    spent = {
        bank: float((cells["nfe"] * cells["n_samples"]).sum())
        for bank, cells in rows.groupby("noise_bank")
    }
    screening, scoring = spent.get(SELECTION, 0.0), spent.get(SCORING, 0.0)
    more = sweep.samples[SCORING] / sweep.samples[SELECTION]
    return screening, scoring, screening * more


def screening_note(study: Study) -> str:
    """What screening samplers took against scoring every combination; nothing where none was."""
    said = []
    for panel in study.panels:
        evaluations = evaluations_of_screen(study, panel)
        if evaluations is not None:
            screening, scoring, every = evaluations
            said.append(
                f"{panel.title}: screening every solver and grid took {scaled(screening)} "
                f"evaluations of the network on a sample, scoring the best {scaled(scoring)}; "
                f"scoring every one would have taken {scaled(every)}."
            )
    return " ".join(said)
