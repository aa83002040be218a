"""``gate``: is the run sound? The last job, after the report: a failure never hides the results.

Four things make a run unsound: a stage that failed or has not run, a cell that failed, a cell that
has not spent the evaluations that it was asked for, and a model that does not beat the untrained
network, by the primary metric of its data set, with any solver at any number of evaluations. Losing
to the Gaussian fitted to the data is said, and no failure: in two dimensions or at a tiny budget a
Gaussian is hard to beat.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pandas as pd

from bench.errors import RunError
from bench.evidence import records
from bench.evidence.audit import wrong_evaluations
from bench.experiment.graph import nodes
from bench.experiment.layout import Layout
from bench.experiment.spec import Experiment, untuned
from bench.files import write_json
from bench.report import RECORDS
from bench.stages.running.outcome import read_outcome

GATE = "gate.json"

NOT_RUN = ": has not run"
"""How the line of a stage ends that has left nothing."""

UNTRAINED = "floor.untrained"
GAUSSIAN = "floor.gaussian"


def run(experiment: Experiment, layout: Layout) -> None:
    """Write ``gate.json``, the certificate of a sound run.

    Raises:
        RunError: the run is not sound; the message names every failure.
    """
    failures, notes = verdict(experiment, layout)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    if failures:
        (layout.root / GATE).unlink(missing_ok=True)
        raise RunError("\n".join([f"{len(failures)} failures in {layout.root}:", *failures]))
    passed = {"experiment": experiment.name, "config_digest": experiment.digest, "notes": notes}
    write_json(layout.root / GATE, passed)
    print(f"{layout.root}: sound", file=sys.stderr)


def verdict(experiment: Experiment, layout: Layout) -> tuple[list[str], list[str]]:
    """What makes a run unsound, a line each, and what is only worth saying of it."""
    failures = list(failed_stages(experiment, layout))
    if not (layout.root / RECORDS).is_file():
        return [*failures, f"{layout.root / RECORDS} does not exist: run collect"], []
    table = records.read(layout.root / RECORDS)
    failures += failed_cells(table)
    failures += wrong_evaluations(table)
    notes: list[str] = []
    for dataset in experiment.datasets:
        lost, said = quality(table, dataset, experiment.described(dataset).primary)
        failures += lost
        notes += said
    return failures, notes


def failed_stages(experiment: Experiment, layout: Layout) -> Iterator[str]:
    """A line for each stage that failed or has not run; not for those it took down with it."""
    for node in nodes(experiment):
        folder = node.folder(layout)
        outcome = read_outcome(folder)
        place = folder.relative_to(layout.root)
        if outcome is None:
            yield f"{place}{NOT_RUN}"
        elif outcome["status"] == "failed" and not str(outcome["error"]).startswith("upstream "):
            yield f"{place}: {outcome['error']}"


def failed_cells(table: pd.DataFrame) -> list[str]:
    """A line for each cell of a sweep, floor or timing that failed."""
    failed = table[(table["status"] == "failed") & table["solver"].notna()]
    names = ["dataset", "label", "train_seed", "noise_bank", "solver", "nfe_requested"]
    lines = []
    for row in failed[[*names, "error"]].to_dict("records"):
        where = " ".join(f"{name}={row[name]}" for name in names if pd.notna(row[name]))
        lines.append(f"cell {where}: {row['error']}")
    return lines


def quality(table: pd.DataFrame, dataset: str, metric: str) -> tuple[list[str], list[str]]:
    """Models that do not beat the untrained network, and labels that lose to the Gaussian.

    A model's value is its best over all cells of the scoring noise, and over the rates of a tuning
    grid, which is made to hold bad ones; a label's is the mean over seeds.

    Args:
        table: records.
        dataset: the data set.
        metric: its primary metric.
    """
    rows = table[
        (table["dataset"] == dataset)
        & (table["metric"] == metric)
        & (table["status"] == "ok")
        & (table["reference_set"] != "train").fillna(True)
        & (table["noise_bank"] == "scoring").fillna(False)
    ].dropna(subset="value")
    rows = rows.assign(label=rows["label"].map(untuned))
    floor = rows.groupby("label")["value"].mean()
    if UNTRAINED not in floor or GAUSSIAN not in floor:
        return [f"{dataset}: the floor has no {metric}"], []
    untrained, gaussian = floor[UNTRAINED], floor[GAUSSIAN]
    models = rows.dropna(subset="train_seed").groupby(["label", "train_seed"])["value"].min()
    lost = [
        f"{dataset} {label} seed {seed}: {metric} {value:.4g} does not beat the untrained "
        f"network's {untrained:.4g}"
        for label, seed, value in models.reset_index().itertuples(index=False, name=None)
        if value >= untrained
    ]
    said = [
        f"{dataset} {label}: {metric} {value:.4g} loses to the fitted Gaussian's {gaussian:.4g}"
        for label, value in models.groupby("label").mean().items()
        if value >= gaussian
    ]
    return lost, said
