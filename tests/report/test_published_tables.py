"""Published runs hold few tables, and every table comes back from their records.

``published_tables.json`` has a digest of every table of a published run, as the rules
of now make it of the same records: a table changes on purpose or not at all. A change on purpose is
followed here by ``collect --from``, and told in the changelog. Of the run ``formulations`` those
are left out whose rule or caption had changed since the run.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from bench.files import read_json
from bench.report.study import Study
from bench.report.tables import build_all

REFERENCE = Path(__file__).parents[2] / "results" / "reference"
PUBLISHED = read_json(Path(__file__).with_name("published_tables.json"))


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_rebuilt_table_is_the_one_that_was_published(name: str, tmp_path: Path) -> None:
    for table in build_all(Study.read(REFERENCE / name)).values():
        table.write(tmp_path)
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in tmp_path.iterdir()
    }
    expected = PUBLISHED[name]
    assert len(expected) > 40
    assert {file: found[file] for file in expected} == expected
