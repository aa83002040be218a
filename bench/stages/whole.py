"""Every stage of an experiment without trainings, in one process."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bench.errors import InputError
from bench.evidence import records
from bench.experiment.cells import has_likelihood, has_oracle
from bench.experiment.digests import verb_digest
from bench.experiment.layout import OUTCOME, Layout
from bench.experiment.loading import load
from bench.experiment.spec import Experiment
from bench.files import digest_of, read_json, sha256, write_json
from bench.report import RECORDS
from bench.stages import (
    collect,
    convergence,
    extractor,
    floor,
    gate,
    likelihood,
    oracle,
    prepare,
    report,
    sweep,
    timing,
)

if TYPE_CHECKING:
    pass

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
    for dataset in experiment.datasets:
        _measure(experiment, layout, dataset)
    if experiment.convergence is not None:
        convergence.run(experiment, layout)
    made_from = _made_from(experiment, layout)
    if not _is_whole(layout, made_from):
        collect.run(experiment, layout)
        report.run(experiment, layout)
        gate.run(experiment, layout)
        files = {name: sha256(layout.root / name) for name in (RECORDS, report.PAGE)}
        write_json(layout.root / WHOLE, {"made_from": made_from, "files": files})
    print(f"report: {layout.root / report.PAGE}", file=sys.stderr)


def _measure(experiment: Experiment, layout: Layout, dataset: str) -> None:
    from bench.stages import foreign

    seeds = experiment.seeds
    prepare.run(experiment, layout, dataset=dataset)
    if experiment.described(dataset).extractor is not None:
        extractor.run(experiment, layout, dataset=dataset)
    for label in experiment.models:
        stage = experiment.formulation(label).final.name
        foreign.run(experiment, layout, dataset=dataset, label=label, stage=stage, seeds=seeds)
        sweep.run(experiment, layout, dataset=dataset, label=label, seeds=seeds)
        if has_likelihood(experiment, label):
            likelihood.run(experiment, layout, dataset=dataset, label=label, seeds=seeds)
    floor.run(experiment, layout, dataset=dataset)
    if has_oracle(experiment, dataset):
        oracle.run(experiment, layout, dataset=dataset)
    timing.run(experiment, layout, dataset=dataset)


def _made_from(experiment: Experiment, layout: Layout) -> str:
    """Digest of all that records and report are made from."""
    outcomes = [read_json(folder / OUTCOME) for folder in gate.stage_folders(experiment, layout)]
    return digest_of(
        {
            "experiment": experiment.digest,
            "code": verb_digest("collect", "report", "gate"),
            "schema": records.SCHEMA_VERSION,
            "outcomes": [[one["digest"], one["status"], one["files"]] for one in outcomes],
        }
    )


def _is_whole(layout: Layout, made_from: str) -> bool:
    if not (layout.root / WHOLE).is_file():
        return False
    kept = read_json(layout.root / WHOLE)
    files = {name: layout.root / name for name in kept["files"]}
    return bool(kept["made_from"] == made_from) and all(
        path.is_file() and sha256(path) == kept["files"][name] for name, path in files.items()
    )
