"""What a folder of results held when its report was made, piece by piece, so that a change is seen.

``contents.json`` names the digest of the records of every model, of every ledger, table, figure
and of the page. Whoever changes a number changes a digest; whoever changes the digest too meets the
tables that the records give, see :mod:`bench.stages.verify`.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import csv

from bench.files import digest_of, read_json, sha256, write_json

CONTENTS = "contents.json"

OWNER = ["experiment", "dataset", "label", "train_seed"]
"""Columns that say whose a record is."""

Digests = dict[str, str]


def of_records(table: pd.DataFrame) -> Digests:
    """Digests of records as text, by experiment, data set, label and seed as far as they have one.

    Text is the same for equal numbers whichever version has written the file.
    """
    names = table[OWNER].astype("string").fillna("")
    owners = map("/".join, names.itertuples(index=False, name=None))
    stream = io.BytesIO()
    csv.write_csv(
        pa.Table.from_pandas(table, preserve_index=False),
        stream,
        csv.WriteOptions(include_header=False, quoting_style="needed"),
    )
    hashes: dict[str, Any] = {}
    for owner, line in zip(owners, _lines(stream.getvalue()), strict=True):
        hashes.setdefault(owner.rstrip("/"), hashlib.sha256()).update(line)
    return {owner: digest.hexdigest()[:16] for owner, digest in sorted(hashes.items())}


def _lines(text: bytes) -> Iterator[bytes]:
    """Rows of a CSV: a line break inside quotes ends none."""
    row = b""
    for line in text.splitlines(keepends=True):
        row += line
        if row.count(b'"') % 2 == 0:
            yield row
            row = b""


def of_ledgers(ledgers: Mapping[str, Any]) -> Digests:
    """Digests of ledgers, by place."""
    return {place: digest_of(ledger) for place, ledger in sorted(ledgers.items())}


def of_files(root: Path, files: Iterable[Path]) -> Digests:
    """Checksums of files, by their place below ``root``."""
    return {str(file.relative_to(root)): sha256(file) for file in sorted(files)}


def shown(root: Path, page: str) -> Iterator[Path]:
    """The files that readers see: tables, figures and the page."""
    for folder in ("tables", "figures"):
        yield from (file for file in (root / folder).glob("*") if file.is_file())
    if (root / page).is_file():
        yield root / page


def of_text(text: str) -> str:
    """Digest of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write(
    root: Path,
    *,
    records: pd.DataFrame,
    ledgers: Mapping[str, Any],
    tables: Mapping[str, str],
    page: str,
    report: str,
) -> None:
    """Write what ``root`` holds.

    Args:
        root: folder of the results.
        records, ledgers: what the report was made from.
        tables: every table as CSV: a published run leaves them out, and they can be made again.
        page: name of the page.
        report: digest of the code that made tables, figures and page.
    """
    held = {
        "report": report,
        "records": of_records(records),
        "ledgers": of_ledgers(ledgers),
        "tables": {name: of_text(text) for name, text in sorted(tables.items())},
        "files": of_files(root, shown(root, page)),
    }
    write_json(root / CONTENTS, held)


def changed(
    root: Path, records: pd.DataFrame, ledgers: Mapping[str, Any], page: str
) -> Iterator[str]:
    """What is not as :data:`CONTENTS` says; nothing where there is no such file.

    A published run has fewer files than the run, and tuning adds some: only those that both have
    are compared.
    """
    if not (root / CONTENTS).is_file():
        return
    contents = read_json(root / CONTENTS)
    for what, told, there in (
        ("records", contents["records"], of_records(records)),
        ("ledger", contents["ledgers"], of_ledgers(ledgers)),
    ):
        for name in sorted(told.keys() | there.keys()):
            if told.get(name) != there.get(name):
                state = "changed" if name in told and name in there else "missing"
                state = state if name in told else "added"
                yield f"{what} of {name}: {state} since the report was made"
    for name, checksum in of_files(root, shown(root, page)).items():
        if contents["files"].get(name, checksum) != checksum:
            yield f"{name}: not the file that the report wrote"
