"""The tidy record: one row a measured value, and the file that holds them.

A record is a flat mapping with the columns of :data:`COLUMNS`; a column that does not apply is
None. :data:`UNIQUE_KEY` identifies a row. Budget and cost figures are records too
(``metric = "budget.<stage>.<kind>"`` and ``"cost.<kind>"``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import InputError
from bench.files import replacing

SCHEMA_VERSION = 3
EARLIER = (2,)
"""Versions that lack columns which came later, and are read with those empty."""

COLUMNS: dict[str, str] = {
    "schema_version": "int64",
    "experiment": "string",
    "config_digest": "string",
    "dataset": "string",
    "label": "string",
    "formulation": "string",
    "stage": "string",
    "coupling": "string",
    "prediction": "string",
    "time_sampling": "string",
    "weighting": "string",
    "guidance": "Float64",
    "train_seed": "Int64",
    "replicate": "Int64",
    "noise_bank": "string",
    "sampler": "string",
    "solver": "string",
    "grid": "string",
    "interval": "string",
    "tolerance": "Float64",
    "log_snr": "Float64",
    "trained_path": "string",
    "sampled_path": "string",
    "nfe_requested": "Int64",
    "nfe": "Float64",
    "nfe_min": "Float64",
    "nfe_max": "Float64",
    "n_samples": "Int64",
    "metric": "string",
    "extractor": "string",
    "reference_set": "string",
    "n_reference": "Int64",
    "value": "Float64",
    "value_se": "Float64",
    "seconds_per_sample": "Float64",
    "batch_size": "Int64",
    "device": "string",
    "precision": "string",
    "budget_unit": "string",
    "accounting": "string",
    "split": "string",
    "budget_total": "Float64",
    "spent_own": "Float64",
    "spent_upstream": "Float64",
    "status": "string",
    "error": "string",
    "run_digest": "string",
}

UNIQUE_KEY: tuple[str, ...] = (
    "experiment", "dataset", "label", "stage", "train_seed", "replicate", "noise_bank",
    "solver", "grid", "tolerance", "sampled_path", "nfe_requested", "log_snr", "metric",
    "extractor", "reference_set", "accounting",
)  # fmt: skip

STATUSES = ("ok", "refused", "failed")

Record = Mapping[str, Any]


def frame(records: Iterable[Record]) -> pd.DataFrame:
    """Records as a typed frame with exactly the columns of :data:`COLUMNS`, in their order.

    Raises:
        ValueError: an unknown column, an unknown status, or two rows with one unique key.
    """
    rows = [dict(record) for record in records]
    unknown = {name for row in rows for name in row} - set(COLUMNS)
    if unknown:
        raise ValueError(f"records with unknown columns: {', '.join(sorted(unknown))}")
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table["schema_version"] = SCHEMA_VERSION
    table["status"] = table["status"].astype("string").fillna("ok")
    table = table.astype(COLUMNS)
    wrong = sorted(set(table["status"]) - set(STATUSES))
    if wrong:
        raise ValueError(f"records with unknown status: {', '.join(wrong)}")
    twice = table.duplicated(list(UNIQUE_KEY), keep=False)
    if twice.any():
        first = table.loc[twice, list(UNIQUE_KEY)].iloc[0].dropna().to_dict()
        raise ValueError(f"two records share the key {first}")
    return table


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a frame as parquet, atomically."""
    with replacing(path) as temporary:
        table.to_parquet(temporary, index=False)


def read(path: Path) -> pd.DataFrame:
    """Read a file written by :func:`write`, with its types.

    Raises:
        InputError: the records are those of another version.
    """
    table = pd.read_parquet(path)
    for version in table["schema_version"].unique():
        if version not in (SCHEMA_VERSION, *EARLIER):
            remedy = "read them with the version that wrote them, or run the experiment again"
            raise InputError(
                f"{path}: schema_version: got {version}, not {SCHEMA_VERSION}; {remedy}"
            )
    later = [column for column in COLUMNS if column not in table]
    table = table.assign(**dict.fromkeys(later, None))[list(COLUMNS)]
    return table.astype(COLUMNS)
