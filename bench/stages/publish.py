"""``publish``: copy what is small of a finished, sound run to ``results/reference/<name>/``."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.errors import InputError
from bench.files import read_json
from bench.layout import CONFIG, LEDGER
from bench.spec import load
from bench.stages import verify
from bench.stages.gate import GATE

REFERENCE = "reference"
KEPT = ("*.yaml", "*.json", "records.parquet", "tables/*", f"runs/**/{LEDGER}")
SHOWN = ("*.html", "figures/*")
"""Not of a tuning grid: its table says it all, and nobody reads curves of every rate."""


def run(folder: Path) -> None:
    """Publish the results in ``folder``, replacing what was published under its name before.

    Raises:
        InputError: the run has not finished, or has failed.
        RunError: its files are not what they claim to be.
    """
    if not (folder / CONFIG).is_file():
        raise InputError(f"{folder}: no {CONFIG}; give the folder of a finished run")
    gate, experiment = folder / GATE, load(folder / CONFIG)
    if not gate.is_file() or read_json(gate)["config_digest"] != experiment.digest:
        raise InputError(
            f"{folder}: no {GATE} of this configuration; finish the run without failures"
        )
    verify.run(folder)
    target = folder.parent / REFERENCE / experiment.name
    fresh, old = (
        target.with_name(f".{target.name}.{kind}.{os.getpid()}") for kind in ("new", "old")
    )
    patterns = KEPT if experiment.tuning is not None else (*KEPT, *SHOWN)
    files = list(kept(folder, patterns))
    try:
        for path in files:
            copy = fresh / path.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        if target.exists():
            target.rename(old)
        fresh.rename(target)
    finally:
        if old.exists() and not target.exists():
            old.rename(target)
        for leftover in (fresh, old):
            shutil.rmtree(leftover, ignore_errors=True)
    print(f"{target}: {len(files)} files published", file=sys.stderr)


def kept(folder: Path, patterns: Sequence[str]) -> Iterator[Path]:
    """The small files of a run: no samples, no checkpoints, no logs, no second form of records."""
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            if path.is_file():
                yield path
