"""``clean``: remove the results of labels, stages, seeds and data sets that are no longer named."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.errors import RunError
from bench.experiment.layout import Layout
from bench.experiment.spec import Experiment
from bench.stages.gate import stage_folders
from bench.stages.running import run_lock

# One depth for each kind of stage folder below the root.
STAGES = (
    "data/*", "extractors/*", "calibration/*/*", "runs/*/*/*/*", "floor/*", "oracle/*", "timing/*",
)  # fmt: skip


def run(experiment: Experiment, layout: Layout, *, dry_run: bool) -> None:
    """Remove every stage folder that the experiment does not name, and say which.

    Raises:
        RunError: a run is in progress in this folder.
    """
    if run_lock.is_held(run_lock.LOCK, patience=0):
        raise RunError("a run is in progress here; wait for it, or stop it")
    found = list(orphans(experiment, layout))
    for folder in found:
        print(f"{'would remove' if dry_run else 'removed'} {folder}", file=sys.stderr)
        if not dry_run:
            shutil.rmtree(folder)
            _remove_empty_parents(folder, layout.root)
    print(f"{len(found)} folders that {experiment.name} does not name", file=sys.stderr)


def orphans(experiment: Experiment, layout: Layout) -> Iterator[Path]:
    """Stage folders below the root that no stage of the experiment writes."""
    named = set(stage_folders(experiment, layout))
    for pattern in STAGES:
        for folder in sorted(layout.root.glob(pattern)):
            if folder.is_dir() and folder not in named:
                yield folder


def _remove_empty_parents(folder: Path, root: Path) -> None:
    for parent in folder.parents:
        if parent == root or any(parent.iterdir()):
            return
        parent.rmdir()
