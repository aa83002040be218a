"""Every stage of an experiment without trainings, in one process."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from bench.errors import InputError
from bench.evidence import expectation, records
from bench.experiment.graph import Node, jobs, nodes
from bench.experiment.layout import OUTCOME, PAGE, Layout
from bench.experiment.loading import load
from bench.experiment.roots import verb_digest
from bench.experiment.spec import Experiment
from bench.files import digest_of, read_json, sha256, write_json
from bench.registry import module
from bench.report import RECORDS
from bench.stages import collect, gate, report

WHOLE = "whole.json"
"""Written last: what the report was made from."""


def whole(experiment: Experiment, layout: Layout) -> None:
    """Every stage of an experiment without trainings, the report, and the verdict on the run.

    Raises:
        InputError: the folder holds an experiment with trainings.
        RunError: the run is not sound; the report is there.
    """
    if layout.config.is_file() and load(layout.config).formulations:
        raise InputError(
            f"{layout.root}: holds an experiment with trainings; choose another --name"
        )
    experiment.save(layout.config)
    expectation.store(experiment, layout)
    for job in jobs(experiment):
        module("stages", job[0].verb).run(experiment, layout, **arguments(job))
    made_from = _made_from(experiment, layout)
    if not _is_whole(layout, made_from):
        collect.run(experiment, layout)
        report.run(experiment, layout)
        gate.run(experiment, layout)
        files = {name: sha256(layout.root / name) for name in (RECORDS, PAGE)}
        write_json(layout.root / WHOLE, {"made_from": made_from, "files": files})
    print(f"report: {layout.root / PAGE}", file=sys.stderr)


def arguments(job: Sequence[Node]) -> dict[str, Any]:
    """What the stage of a job is told beside the experiment and its layout."""
    first = job[0]
    chosen = {"dataset": first.dataset, "label": first.label, "stage": first.stage}
    keywords: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    if first.seed is not None:
        keywords["seeds"] = [node.seed for node in job]
    return keywords


def _made_from(experiment: Experiment, layout: Layout) -> str:
    """Digest of all that records and report are made from."""
    outcomes = [read_json(node.folder(layout) / OUTCOME) for node in nodes(experiment)]
    return digest_of(
        {
            "experiment": experiment.digest,
            "code": verb_digest("collect", "report", "gate"),
            "schema": records.SCHEMA_VERSION,
            "outcomes": [
                [outcome["digest"], outcome["status"], outcome["files"]] for outcome in outcomes
            ],
        }
    )


def _is_whole(layout: Layout, made_from: str) -> bool:
    if not (layout.root / WHOLE).is_file():
        return False
    record = read_json(layout.root / WHOLE)
    files = {name: layout.root / name for name in record["files"]}
    return bool(record["made_from"] == made_from) and all(
        path.is_file() and sha256(path) == record["files"][name] for name, path in files.items()
    )
