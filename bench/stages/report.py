"""Make tables, figures and the page, from files alone; nothing is measured here."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pandas as pd

from bench.evidence import contents, ledgers
from bench.evidence.manifest import MANIFEST
from bench.evidence.version import running
from bench.experiment.layout import PAGE, Layout
from bench.experiment.roots import verb_digest
from bench.experiment.spec import Experiment
from bench.files import read_json
from bench.report import CAPTIONS, captions, figures, page, tables
from bench.report.study import Study
from bench.report.table import Table


def run(experiment: Experiment, layout: Layout) -> None:
    """Write the report of an experiment whose records have been collected."""
    write(Study.read(layout.root), layout)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Leave garbage where it lies inside the block.

    Figures are many small objects in cycles; to look through them again and again while they are
    made takes a tenth of the time of a report.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@_uncollected()
@pd.option_context("mode.string_storage", "python")  # small tables: Arrow's take longer
def write(study: Study, layout: Layout) -> None:
    """Write ``tables/``, ``figures/``, ``captions/`` and ``report.html`` of a study.

    Last of all stands what the folder holds, by which ``verify`` sees a change.
    """
    built = tables.build_all(study)
    for table in built.values():
        table.write(layout.root / "tables")
    figures.write_all(study, layout.root / "figures")
    captions.write_all(built, layout.root / CAPTIONS)
    page.write(study, built, layout.root / "figures", layout.root / PAGE)
    hold(study, built, layout)
    print(f"report: {layout.root / PAGE}", file=sys.stderr)


def hold(study: Study, built: Mapping[str, Table], layout: Layout) -> None:
    """Write down what a folder holds, once all of it is there."""
    contents.write(
        layout.root,
        records=study.records,
        ledgers=ledgers.of_run(layout),
        tables={name: table.csv for name, table in built.items()},
        page=PAGE,
        report=_code(layout),
    )


def _code(layout: Layout) -> str:
    """Digest of the code that makes reports, which takes half a second to work out.

    Of a clean commit it is what the manifest says, where that commit has collected the records.
    """
    file, current = layout.root / MANIFEST, running()
    about = read_json(file) if file.is_file() else {}
    if current["commit"] and not current["dirty"] and about.get("collected_by") == current:
        return str(about["code"]["report"])
    return verb_digest("report")
