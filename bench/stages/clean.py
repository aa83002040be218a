"""``clean``: remove the results of labels, stages, seeds and data sets that are no longer named.

Features of real samples have no stage: as many stay as the data sets can use.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.errors import RunError
from bench.experiment.graph import VERBS, nodes
from bench.experiment.layout import Layout
from bench.experiment.spec import Experiment
from bench.stages.running import run_lock

FEATURES = 4
"""Files of features that a data set with an extractor can use: both halves, by it and at random."""


def run(experiment: Experiment, layout: Layout, *, dry_run: bool) -> None:
    """Remove the folders of stages that the experiment does not name, and old features; say which.

    Raises:
        RunError: a run is in progress in this folder.
    """
    if run_lock.is_held(run_lock.LOCK, patience=0):
        raise RunError("a run is in progress here; wait for it, or stop it")
    folders, files = list(orphans(experiment, layout)), list(old_features(experiment, layout))
    for path in (*folders, *files):
        print(f"{'would remove' if dry_run else 'removed'} {path}", file=sys.stderr)
        if not dry_run:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            _remove_empty_parents(path, layout.root)
    print(f"{len(folders)} folders that {experiment.name} does not name", file=sys.stderr)


def orphans(experiment: Experiment, layout: Layout) -> Iterator[Path]:
    """Folders of stages, and of choices, below the root that no stage of the experiment writes."""
    named: set[Path] = set()
    for node in nodes(experiment):
        named |= {node.folder(layout), *(file.parent for file in node.choices(layout))}
    for pattern in dict.fromkeys(_places(layout)):
        for folder in sorted(layout.root.glob(str(pattern.relative_to(layout.root)))):
            if folder.is_dir() and folder not in named:
                named.add(folder)  # the next pattern may find it too
                yield folder


def _places(layout: Layout) -> Iterator[Path]:
    """Where any stage keeps its files and its choices, as patterns."""
    for verb in VERBS.values():
        yield verb.folder(layout, **dict.fromkeys(verb.by, "*"))
        for by, file in verb.choices:
            yield file(layout, **dict.fromkeys(by, "*")).parent


def old_features(experiment: Experiment, layout: Layout) -> Iterator[Path]:
    """Files of features beyond those that the data sets can use; the newest stay.

    A file is named by its content, which only those who compute it know. One that is removed too
    much is made again.
    """
    described = map(experiment.described, experiment.datasets)
    most = FEATURES * sum(each.extractor is not None for each in described)
    files = [path for path in layout.features.glob("*") if path.is_file()]
    yield from sorted(files, key=lambda path: path.stat().st_mtime, reverse=True)[most:]


def _remove_empty_parents(folder: Path, root: Path) -> None:
    for parent in folder.parents:
        if parent == root or any(parent.iterdir()):
            return
        parent.rmdir()
