"""``join``: finished runs, their records in one table, and one report on all of them.

Two accountings, or two machines, are experiments of their own; this puts them side by side. Only
files that ``publish`` keeps are read.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bench.errors import InputError
from bench.evidence import manifest as manifests
from bench.evidence import records
from bench.experiment.layout import CONFIG, PAGE, Layout
from bench.files import read_json, replacing, write_json, write_text
from bench.report import RECORDS
from bench.report.figures import from_arrays
from bench.report.study import Study
from bench.report.svg import drawing_in
from bench.stages import collect, report


def run(*, sources: Sequence[Path], target: Path | None = None) -> None:
    """Join finished runs and report on them.

    Args:
        sources: folders of finished runs, published or not.
        target: where they are joined; ``results/joined/<names>`` unless given.

    Raises:
        InputError: what is given cannot be joined.
    """
    name = "-".join(source.resolve().name for source in sources)
    folder = target or Path("results", "joined", name)
    join(sources, folder)
    report.write(Study.read(folder), Layout(folder))


def join(sources: Sequence[Path], target: Path) -> pd.DataFrame:
    """Write the records and manifests of finished runs as one, from their files alone.

    Several experiments stay apart by their names, in every table and figure. Drawings that need
    more than records are taken from the page of a single source.

    Raises:
        InputError: a source without records or manifest, or two with one name.
    """
    tables, parts = [], []
    for source in sources:
        for name in (RECORDS, manifests.MANIFEST):
            if not (source / name).is_file():
                raise InputError(f"{source}: no {name}; give the folder of a finished run")
        tables.append(records.read(source / RECORDS))
        parts += manifests.parts(read_json(source / manifests.MANIFEST))
    names = [part["experiment"] for part in parts]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"two of the runs are named {twice!r}; experiments are joined by name")
    table = pd.concat(tables, ignore_index=True)
    if [target.resolve()] != [source.resolve() for source in sources]:
        collect.write(table, target)
        whole = parts[0] if len(parts) == 1 else {"joined": parts}
        write_json(target / manifests.MANIFEST, whole)
        if len(sources) == 1:
            _keep(sources[0], target)
    return table


def _keep(source: Path, target: Path) -> None:
    """Keep a run's configuration, and the drawings whose arrays are not published."""
    if (source / CONFIG).is_file():
        with replacing(target / CONFIG) as temporary:
            shutil.copyfile(source / CONFIG, temporary)
    if not (source / PAGE).is_file():
        return
    page = (source / PAGE).read_text(encoding="utf-8")
    for name in from_arrays():
        drawing = drawing_in(page, name)
        if drawing is not None:
            write_text(target / "figures" / f"{name}.svg", f"{drawing}\n")
