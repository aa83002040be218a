"""The file of records: typed, keyed, and of one version."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bench.errors import InputError
from bench.evidence import records


def row(**changes: object) -> dict[str, object]:
    return {"experiment": "trial", "dataset": "digits", "metric": "w2", "value": 0.5, **changes}


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    table = records.frame([row(), row(metric="nll", train_seed=3)])
    records.write(table, tmp_path / "records.parquet")
    pd.testing.assert_frame_equal(records.read(tmp_path / "records.parquet"), table)


def test_records_of_another_version_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "records.parquet"
    table = records.frame([row()]).drop(columns="log_snr").assign(schema_version=1)
    records.write(table, path)
    with pytest.raises(InputError, match=r"records.parquet: schema_version: got 1, not") as told:
        records.read(path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([row(colour="red")], "unknown columns: colour"),
        ([row(status="maybe")], "unknown status: maybe"),
        ([row(), row()], "share the key"),
    ],
)
def test_what_is_no_record_is_refused(rows: list[dict[str, object]], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        records.frame(rows)
