"""Quality with the sampler selected on the other seeds: the table ``summary``."""

from __future__ import annotations

from bench.report.by_evaluations import primaries, quality_by_nfe
from bench.report.declared import DeclaredTable
from bench.report.study import Study
from bench.report.table import INTERVAL_COLUMNS, INTERVAL_NOTE, Table


def summary(study: Study) -> Table:
    """Primary metric at each NFE with the sampler that was selected on the other seeds."""
    data, text = quality_by_nfe(study, study.selected, with_sampler=True)
    caption = (
        f"Lower is better ({primaries(study)}). Each formulation, at each number of network "
        "evaluations (NFE), with the sampler that was best on the other seeds and other noise; "
        "its name stands below, with its grid where that is not its own. Floor: training data "
        f"against held-out data at the same sample size. {INTERVAL_NOTE}"
    )
    return Table("summary", "Quality at each number of evaluations", caption, data, text)


TABLE = DeclaredTable(
    section="quality",
    rank=10,
    build=summary,
    columns=(
        "experiment", "dataset", "label", "metric", "nfe", "sampler",
        *INTERVAL_COLUMNS, "floor",
    ),
)  # fmt: skip
