"""``verify``: are the results what they claim to be? Checked again from the files alone.

* records, ledgers, tables, figures and page are those that the report was made with, see
  :mod:`bench.evidence.contents`, and the records give those tables and verdicts again;
* every file that an outcome names has the checksum it had when it was written;
* the charges of each ledger add up to what it says was spent, the ledgers of a model to 98-100% of
  its budget, and each ledger names the upstream ledgers that lie beside it;
* every cell has spent exactly the evaluations that were asked for, or says that it could not;
* the budget rows of the records are those of the ledgers.

A published folder holds no outcomes and no models, and its ledgers in one file; everything else is
checked there too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from bench.errors import InputError, RunError
from bench.evidence import contents, ledgers, records
from bench.evidence.audit import wrong_evaluations
from bench.experiment.graph import nodes
from bench.experiment.layout import CONFIG, LEDGER, OUTCOME, PAGE, Layout
from bench.experiment.loading import load
from bench.experiment.roots import verb_digest
from bench.experiment.spec import Experiment
from bench.files import digest_of, read_json, sha256
from bench.report import RECORDS, tables
from bench.report.study import Study
from bench.stages.running.job import SMALLEST_FRACTION

Entry = dict[str, Any]

UNFINISHED = "unfinished.json"
"""Stands in a published run of which stages are missing, and names them."""

ROUNDING = 1e-9
"""Relative difference at which two sums of the same charges are equal."""


def run(folder: Path, *, unfinished: bool = False) -> None:
    """Check the results in ``folder``.

    Args:
        folder: of a run, or of a published one.
        unfinished: whether stages may be missing, as in a run that was published as unfinished.

    Raises:
        InputError: ``folder`` holds no results.
        RunError: something is not as claimed; the message names all of it.
    """
    for name in (CONFIG, RECORDS):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: no {name}; give the folder of a finished run")
    experiment, layout = load(folder / CONFIG), Layout(folder)
    table = records.read(folder / RECORDS)
    unfinished = unfinished or (folder / UNFINISHED).is_file()
    problems = [
        *wrong_files(experiment, layout, unfinished),
        *wrong_budgets(experiment, layout, unfinished),
        *wrong_evaluations(table),
        *wrong_records(experiment, layout, table),
        *contents.changed(folder, table, ledgers.of_run(layout), PAGE),
        *wrong_tables(folder),
    ]
    if problems:
        raise RunError("\n".join([f"{len(problems)} problems in {folder}:", *problems]))
    print(f"{folder}: {_sound(folder)} are as claimed", file=sys.stderr)


def _sound(folder: Path) -> str:
    """What has been checked."""
    checked = ["files", "budgets", "evaluation counts"]
    if (folder / contents.CONTENTS).is_file():
        checked.append("records")
    if _same_report(folder):
        checked.append("tables")
    return f"{', '.join(checked[:-1])} and {checked[-1]}"


def _same_report(folder: Path) -> bool:
    """Whether the tables were made by this code: another version may have other rules for them."""
    file = folder / contents.CONTENTS
    return file.is_file() and read_json(file)["report"] == verb_digest("report")


def wrong_tables(folder: Path) -> Iterator[str]:
    """Tables that differ from what the records give, by their first line that does."""
    if not _same_report(folder):
        return
    told = read_json(folder / contents.CONTENTS)["tables"]
    for name, built in tables.build_all(Study.read(folder)).items():
        for suffix, text in built.files().items():
            path = folder / "tables" / f"{name}.{suffix}"
            if path.is_file():
                line = _first_difference(path.read_text(encoding="utf-8"), text)
                if line is not None:
                    yield f"tables/{path.name}: line {line} is not what the records give"
        if told.get(name) != contents.of_text(built.files()["csv"]):
            yield f"table {name}: the records give another one than when the report was made"


def _first_difference(text: str, expected: str) -> int | None:
    """Number of the first line that differs, from 1; None where all are the same."""
    lines = zip_longest(text.splitlines(), expected.splitlines())
    return next((i for i, (line, wanted) in enumerate(lines, 1) if line != wanted), None)


def wrong_files(experiment: Experiment, layout: Layout, unfinished: bool = False) -> Iterator[str]:
    """Files that are missing or differ from what their outcome says."""
    if not any(layout.root.rglob(OUTCOME)):
        return
    for node in nodes(experiment):
        folder = node.folder(layout)
        if not (folder / OUTCOME).is_file():
            if not unfinished:
                yield f"{folder}: no {OUTCOME}"
            continue
        for name, expected in read_json(folder / OUTCOME)["files"].items():
            path = folder / name
            if not path.is_file():
                yield f"{path}: missing"
            elif sha256(path) != expected:
                yield f"{path}: not the file that was written"


def of_models(
    experiment: Experiment, layout: Layout
) -> Iterator[tuple[str, str, int, dict[str, Entry]]]:
    """Data set, label and seed of every model, with those of its ledgers that exist, by stage."""
    written = ledgers.of_run(layout)
    for dataset in experiment.datasets:
        for label in experiment.formulations:
            for seed in experiment.seeds:
                places = {
                    stage.name: layout.stage(dataset, label, seed, stage.name) / LEDGER
                    for stage in experiment.formulation(label).stages
                }
                model_ledgers = {
                    name: written[str(place.relative_to(layout.root))]
                    for name, place in places.items()
                    if str(place.relative_to(layout.root)) in written
                }
                yield dataset, label, seed, model_ledgers


def wrong_budgets(
    experiment: Experiment, layout: Layout, unfinished: bool = False
) -> Iterator[str]:
    """Ledgers that do not add up, and models that spent less than 98% or more than 100%."""
    for dataset, label, seed, model_ledgers in of_models(experiment, layout):
        where = f"{dataset} {label} seed {seed}"
        stages = [stage.name for stage in experiment.formulation(label).stages]
        missing = [name for name in stages if name not in model_ledgers]
        if missing:
            if not unfinished:
                yield f"{where}: no ledger of {', '.join(missing)}"
            continue
        for name, ledger in model_ledgers.items():
            for problem in _wrong_ledger(ledger, model_ledgers, experiment):
                yield f"{where} {name}: {problem}"
        amount = experiment.amount(dataset, label)
        marginal = experiment.budget.accounting == "marginal" and len(stages) > 1
        planned = 2 * amount if marginal else amount
        fraction = sum(charged(ledger) for ledger in model_ledgers.values()) / planned
        if not SMALLEST_FRACTION <= fraction <= 1 + ROUNDING:
            yield f"{where}: spent {fraction:.2%} of its budget, not 98-100%"


def charged(ledger: Entry) -> float:
    """Units that the charges of a ledger add up to."""
    charges = ledger["charges"].values()
    if ledger["unit"] == "flops":
        return float(sum(charge["flops"] for charge in charges))
    if ledger["unit"] == "network_passes":
        return float(sum(charge["forwards"] + 2 * charge["backwards"] for charge in charges))
    return float(sum(charge["planned_seconds"] for charge in charges))


def _wrong_ledger(
    ledger: Entry, model_ledgers: dict[str, Entry], experiment: Experiment
) -> Iterator[str]:
    if ledger["unit"] != experiment.budget.unit:
        yield f"in {ledger['unit']}, and the budget in {experiment.budget.unit}"
    if not _equal(charged(ledger), ledger["spent"]):
        yield f"charges add up to {charged(ledger):.6g}, not to {ledger['spent']:.6g}"
    upstream = 0.0
    for entry in ledger["upstream"]:
        source = model_ledgers.get(entry["stage"])
        if source is None or source["digest"] != entry["digest"]:
            yield f"built on another {entry['stage']} than the one beside it"
        else:
            upstream += charged(source)
    if not _equal(upstream, ledger["spent_upstream"]):
        yield f"upstream spent {upstream:.6g}, not {ledger['spent_upstream']:.6g}"


def _equal(first: float, second: float) -> bool:
    return abs(first - second) <= ROUNDING * max(abs(first), abs(second))


def wrong_records(experiment: Experiment, layout: Layout, table: pd.DataFrame) -> Iterator[str]:
    """Budget rows that differ from the ledgers, and rows of another configuration.

    The configuration is what its file says: a later version knows more keys, with their defaults.
    """
    stored = digest_of(yaml.safe_load(layout.config.read_text(encoding="utf-8")))
    other_digests = set(table["config_digest"].dropna()) - {stored}
    if other_digests:
        yield f"{RECORDS}: rows of another configuration ({', '.join(sorted(other_digests))})"
    spent = table[table["metric"] == "budget.spent"].set_index(
        ["dataset", "label", "train_seed", "stage"]
    )["value"]
    for dataset, label, seed, model_ledgers in of_models(experiment, layout):
        for stage, ledger in model_ledgers.items():
            recorded = spent.get((dataset, label, seed, stage))
            if recorded is None or not _equal(float(recorded), ledger["spent"]):
                yield f"{RECORDS}: {dataset} {label} seed {seed} {stage} is not as in its ledger"
