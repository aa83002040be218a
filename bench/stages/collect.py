"""Gather what the stages have left into one table of records, and say where it comes from.

Sweeps, floors, exact fields and timings are records already. Ledgers become budget rows
(``budget.<charge>.<kind>``, ``budget.planned``, ``budget.spent``, ``budget.peak_memory_bytes``),
the core-seconds of every outcome become cost rows (``cost.<kind>``), and whatever has failed or has
not run becomes a row with status ``failed`` and the first error of its chain. Nothing is computed
here that a table could not be recomputed from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import safe_open

from bench.evidence import manifest as manifests
from bench.evidence import records
from bench.evidence.columns import formulation_name
from bench.experiment.cells import UNIFIED
from bench.experiment.graph import Node, nodes
from bench.experiment.layout import FOREIGN, LEDGER, OUTCOME, Layout
from bench.experiment.spec import Experiment
from bench.files import read_json, replacing, write_json
from bench.formulations.grammar import Stage
from bench.report import RECORDS
from bench.stages.running.outcome import read_outcome

RECORDS_TEXT = "records.csv"
CHECKPOINT = "checkpoint.safetensors"

SHARED = ("prepare", "floor", "timing", "extractor", "oracle")
"""Verbs of stages that all models of a data set share, in the order of their rows; then others."""

SECONDS_KEY = ["dataset", "label", "solver", "tolerance", "nfe_requested"]
"""What the time of a cell depends on; its grid is not among it."""


def run(experiment: Experiment, layout: Layout) -> pd.DataFrame:
    """Write ``records.parquet``, ``records.csv`` and ``manifest.json`` of an experiment."""
    root = layout.root
    rows = list(_facts(experiment, layout))
    table = pd.concat([records.frame(rows), *_measured(experiment, layout)], ignore_index=True)
    table = _with_seconds(table)
    write(table, root)
    manifest = manifests.manifest(experiment, root, manifests.current())
    write_json(root / manifests.MANIFEST, manifest)
    return table


def write(table: pd.DataFrame, root: Path) -> None:
    """Write both files of the records."""
    records.write(table, root / RECORDS)
    with replacing(root / RECORDS_TEXT) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


def _in_order(experiment: Experiment) -> list[Node]:
    """All stages in the order of their rows: of a data set first what is shared by its models."""
    places = {dataset: i for i, dataset in enumerate((*experiment.datasets, None))}

    def place(node: Node) -> tuple[int, bool, int]:
        order = SHARED.index(node.verb) if node.verb in SHARED else len(SHARED)
        return places[node.dataset], node.label is not None, order

    return sorted(nodes(experiment), key=place)


def _measured(experiment: Experiment, layout: Layout) -> Iterator[pd.DataFrame]:
    """Records that stages have written, of those that succeeded."""
    for node in _in_order(experiment):
        if node.table is None:
            continue
        folder = node.folder(layout)
        outcome = read_outcome(folder)
        if outcome is not None and outcome["status"] == "ok":
            # A change that a stage does not depend on leaves its file, and changes the digest.
            yield records.read(folder / node.table).assign(config_digest=experiment.digest)


def _with_seconds(table: pd.DataFrame) -> pd.DataFrame:
    """The timing stage's seconds a sample, the median over its seeds, on every row of the cell."""
    timed = table[(table["metric"] == "seconds_per_sample") & (table["status"] == "ok")]
    seconds = timed.groupby(SECONDS_KEY, dropna=False)["value"].median().reset_index()
    joined = table[SECONDS_KEY].merge(seconds, on=SECONDS_KEY, how="left", validate="m:1")["value"]
    own_path = table["grid"].ne(UNIFIED).fillna(True)  # a change of path takes time of its own
    joined = joined.where(table["solver"].notna() & table["train_seed"].notna() & own_path)
    return table.assign(seconds_per_sample=table["seconds_per_sample"].fillna(joined))


# --- rows from ledgers and outcomes --------------------------------------------------------------


def _facts(experiment: Experiment, layout: Layout) -> Iterator[dict[str, Any]]:
    """Budget, cost and failure rows of every stage."""
    # A model's sweep may come after the screens of other seeds: its stages need not be neighbours.
    groups: dict[tuple[str | None, str | None, int | None], list[Node]] = {}
    for node in _in_order(experiment):
        groups.setdefault((node.dataset, node.label, node.seed), []).append(node)
    for (_, label, seed), stages in groups.items():
        if label is not None and seed is not None:
            yield from _model_rows(experiment, layout, label, stages)
            continue
        for node in stages:
            folder = node.folder(layout)
            if node.verb == "calibrate" and not folder.exists():
                continue  # its trainings say that they have not run
            more = {} if label is None else {"label": label}
            row = _row(experiment, node.dataset, **more, stage=node.name)
            yield from _outcome_rows(folder, row, layout.root)


def _row(experiment: Experiment, dataset: str | None, **more: Any) -> dict[str, Any]:
    return {
        "experiment": experiment.name,
        "config_digest": experiment.digest,
        "dataset": dataset,
        **more,
    }


def _model_rows(
    experiment: Experiment, layout: Layout, label: str, stages: Sequence[Node]
) -> Iterator[dict[str, Any]]:
    """What one model has cost, and at most one failure: the first of its chain.

    Args:
        experiment, layout: whose model it is.
        label: its label.
        stages: all that is done for it alone.
    """
    dataset, seed = stages[0].dataset, stages[0].seed
    assert dataset is not None
    base = _row(
        experiment,
        dataset,
        label=label,
        formulation=formulation_name(experiment, label),
        train_seed=seed,
    )
    if label in experiment.formulations:
        base |= {
            "budget_unit": experiment.budget.unit,
            "accounting": experiment.budget.accounting,
            "budget_total": experiment.amount(dataset, label),
        }
    failed = False
    for node in stages:
        for row in _outcome_rows(node.folder(layout), base | {"stage": node.name}, layout.root):
            if row["metric"] != "failed":
                yield row
            elif not failed:
                failed = True
                yield row
    formulation = experiment.formulation(label)
    for node in stages:
        if node.stage is not None:
            yield from _budget_rows(node.folder(layout), base, formulation.stage(node.stage))


def _outcome_rows(folder: Path, base: dict[str, Any], root: Path) -> Iterator[dict[str, Any]]:
    """Core-seconds of an outcome, and its failure."""
    outcome = read_outcome(folder)
    if outcome is None:
        missing = f"has not run: there is no {OUTCOME}"
        yield base | {"metric": "failed", "status": "failed", "error": missing}
        return
    for kind, seconds in outcome["seconds"].items():
        yield base | {"metric": f"cost.{kind}", "value": float(seconds)}
    if outcome["status"] == "failed":
        error = str(outcome["error"]).replace(str(root), root.name)
        yield base | {"metric": "failed", "status": "failed", "error": error}


def _budget_rows(folder: Path, base: dict[str, Any], stage: Stage) -> Iterator[dict[str, Any]]:
    """A ledger as records; of a foreign network the size alone."""
    outcome = read_outcome(folder)
    if outcome is None or outcome["status"] != "ok":
        return
    if stage.kind == "foreign":
        facts = read_json(folder / FOREIGN)
        yield base | {"metric": "parameters", "value": float(facts["parameters"])}
        return
    ledger = read_json(folder / LEDGER)
    base = base | {
        "stage": stage.name,
        "coupling": stage.factors().get("coupling"),
        "prediction": stage.factors().get("prediction"),
        "trained_path": stage.path.name,
        "spent_own": ledger["spent_own"],
        "spent_upstream": ledger["spent_upstream"],
        "run_digest": ledger["digest"],
    }
    for charge, kinds in ledger["charges"].items():
        for kind, value in kinds.items():
            yield base | {"metric": f"budget.{charge}.{kind}", "value": float(value)}
    for kind in ("planned", "spent", "peak_memory_bytes"):
        yield base | {"metric": f"budget.{kind}", "value": float(ledger[kind])}
    if (folder / CHECKPOINT).is_file():
        yield base | {"metric": "parameters", "value": float(_parameters(folder / CHECKPOINT))}


def _parameters(checkpoint: Path) -> int:
    """Numbers in a checkpoint, from its header."""
    with safe_open(checkpoint, "numpy") as stored:
        return sum(math.prod(stored.get_slice(name).get_shape()) for name in stored.keys())
