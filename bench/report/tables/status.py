"""What has failed or was refused: the table ``status``."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bench.report.declared import DeclaredTable
from bench.report.numbers import MISSING
from bench.report.study import Study
from bench.report.table import FAILED, Table, short_reason


def status(study: Study) -> Table:
    """Failed and refused cells, and seeds without a value."""
    rows = study.records[study.records["status"] != "ok"]
    keys = ["experiment", "dataset", "label", "status", "stage", "solver", "nfe_requested", "error"]
    data = (
        rows.groupby(keys, dropna=False, sort=True)["train_seed"]
        .agg(seeds=lambda s: " ".join(str(v) for v in sorted(set(s.dropna()))), rows="size")
        .reset_index()
    )
    text = []
    for (state, solver, error), group in rows.groupby(
        [
            "status",
            "solver",
            rows["error"].where(
                rows["status"] == FAILED, rows["error"].map(short_reason, "ignore")
            ),
        ],
        dropna=False,
        sort=True,
    ):
        panels = [p for p in study.panels if len(p.of(group))]
        labels = [n for n in study.titles if n in set(group["label"].dropna())]
        text.append(
            {
                "status": state,
                "data sets": ", ".join(p.title for p in panels),
                "formulations": ", ".join(study.titles[n] for n in labels) or MISSING,
                "stage": _listed(group["stage"]) if state == FAILED else MISSING,
                "solver": _or_missing(solver),
                "NFE": _listed(group["nfe_requested"]),
                "seeds": _listed(group["train_seed"]),
                "reason": _or_missing(error),
            }
        )
    columns = ["status", "data sets", "formulations", "stage", "solver", "NFE", "seeds", "reason"]
    caption = (
        "Refused: a solver cannot spend exactly the NFE that was asked for, and nothing is "
        "rounded; or it reads a score that the model does not have. "
        "Failed: the work ended with the error that stands beside it; everything else is whole."
    )
    frame = pd.DataFrame(text, columns=columns)
    return Table("status", "Refused and failed cells", caption, data, frame, wordy=True)


def _listed(values: pd.Series) -> str:
    return ", ".join(str(v) for v in sorted(set(values.dropna()))) or MISSING


def _or_missing(value: Any) -> str:
    return MISSING if pd.isna(value) else str(value)


TABLE = DeclaredTable(
    section="methods",
    rank=20,
    build=status,
)
