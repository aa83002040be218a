"""Core-seconds by kind of work, measured and expected: the table ``cost``."""

from __future__ import annotations

import math

import pandas as pd

from bench.report.costs import cost_matrix, expected_seconds, screening_note
from bench.report.declared import DeclaredTable
from bench.report.numbers import plain
from bench.report.study import Study
from bench.report.table import BLOCK, Table

EVERYTHING = "Whole run"


def cost(study: Study) -> Table:
    """Core-seconds by import, training, sampling, metrics and timing."""
    wide = cost_matrix(study)
    kinds = list(wide.columns)
    data = wide.assign(total=wide.sum(axis=1)).reset_index()
    title = {(p.experiment, p.dataset): p.title for p in study.panels}
    text = [
        {
            "data set": title.get(
                (row["experiment"], row["dataset"]), row["dataset"] or EVERYTHING
            ),
            "what": study.titles.get(row["label"], row["label"]),
            **{kind: plain(row[kind]) for kind in kinds},
            "total": plain(row["total"]),
        }
        for _, row in data.iterrows()
    ]
    if len(data):
        sums = wide.sum()
        text.append(
            {BLOCK: EVERYTHING, "what": "measured"}
            | {kind: plain(sums[kind]) for kind in kinds}
            | {"total": plain(sums.sum())}
        )
    expected = expected_seconds(study)
    what = "expected by plan" if expected else "expected by plan: not stored at the start"
    text.append(
        {BLOCK: EVERYTHING, "what": what}
        | {kind: plain(expected.get(kind, math.nan)) for kind in kinds}
        | {"total": plain(sum(expected.values()) if expected else math.nan)}
    )
    caption = (
        "Core-seconds (CPU time of the processes) that the run has spent: importing libraries, "
        "training, sampling, metrics and timing; sums over all seeds. Work that was finished "
        "before a run was started again counts with what it cost when it was done. Expected: what "
        "the plan said when the run started, for its reference machine. "
        f"{screening_note(study)}"
    ).rstrip()
    columns = ["data set", "what", *kinds, "total"]
    frame = pd.DataFrame(text, columns=columns)
    return Table("cost", "Core-seconds", caption, data, frame)


TABLE = DeclaredTable(
    section="cost",
    rank=20,
    build=cost,
)
