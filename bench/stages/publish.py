"""``publish``: put what is light of a finished, sound run into ``results/reference/<name>/``.

Records stay whole, and every ledger. All drawings stand in the page; what else can be made from
these files is left to ``collect --from``, which makes it again: the tables, the figures as files
of their own, the records as text.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.errors import InputError, RunError
from bench.evidence import ledgers
from bench.experiment.layout import CONFIG, PAGE, Layout
from bench.experiment.loading import load
from bench.experiment.spec import Experiment
from bench.files import read_json, write_json, write_text
from bench.report import RECORDS
from bench.stages import gate, verify
from bench.stages.gate import GATE

REFERENCE = "reference"

KEPT = ("*.yaml", "*.json", RECORDS)
SHOWN = (PAGE, "figures/quality_vs_nfe.png", "figures/samples.png", "tables/summary.md")
"""What other pages link. Not of a tuning grid: nobody reads curves of every rate."""

TUNED = ("tables/tuning.csv", "tables/tuning.md", "figures/tuning.png")


def run(folder: Path, *, unfinished: bool = False) -> None:
    """Publish the results in ``folder``, replacing what was published under its name before.

    Args:
        folder: of the run.
        unfinished: whether stages may be missing; they are named in the published folder.

    Raises:
        InputError: the run has not finished, or has failed.
        RunError: its files are not what they claim to be.
    """
    if not (folder / CONFIG).is_file():
        raise InputError(f"{folder}: no {CONFIG}; give the folder of a finished run")
    experiment = load(folder / CONFIG)
    missing = _missing(experiment, folder) if unfinished else []
    if not missing:
        certificate = folder / GATE
        if (
            not certificate.is_file()
            or read_json(certificate)["config_digest"] != experiment.digest
        ):
            raise InputError(
                f"{folder}: no {GATE} of this configuration; finish the run without failures"
            )
    verify.run(folder, unfinished=bool(missing))
    target = folder.parent / REFERENCE / experiment.name
    fresh, old = (
        target.with_name(f".{target.name}.{kind}.{os.getpid()}") for kind in ("new", "old")
    )
    try:
        write_light(experiment, folder, fresh)
        if missing:
            write_json(fresh / verify.UNFINISHED, {"has not run": missing})
        if target.exists():
            target.rename(old)
        fresh.rename(target)
    finally:
        if old.exists() and not target.exists():
            old.rename(target)
        for leftover in (fresh, old):
            shutil.rmtree(leftover, ignore_errors=True)
    files = [path for path in target.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    print(f"{target}: {len(files)} files published, {size:.1f} MB", file=sys.stderr)


def _missing(experiment: Experiment, folder: Path) -> list[str]:
    """Stages that have not run.

    Raises:
        RunError: something else is wrong with the run.
    """
    lines, _ = gate.verdict(experiment, Layout(folder))
    failures = [line for line in lines if not line.endswith(gate.NOT_RUN)]
    if failures:
        raise RunError("\n".join([f"{len(failures)} failures in {folder}:", *failures]))
    return [line.removesuffix(gate.NOT_RUN) for line in lines]


def write_light(experiment: Experiment, folder: Path, target: Path) -> None:
    """Write the published form of the run in ``folder``."""
    for path in light_files(experiment, folder):
        copy = target / path.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    written = ledgers.of_run(Layout(folder))
    lines = (f" {json.dumps(place)}: {json.dumps(ledger)}" for place, ledger in written.items())
    write_text(target / ledgers.LEDGERS, "{\n" + ",\n".join(lines) + "\n}\n")


def light_files(experiment: Experiment, folder: Path) -> Iterator[Path]:
    """The files of a run that are published as they are."""
    for pattern in (*KEPT, *(TUNED if experiment.tuning is not None else SHOWN)):
        for path in sorted(folder.glob(pattern)):
            if path.is_file() and path.name != ledgers.LEDGERS:
                yield path
