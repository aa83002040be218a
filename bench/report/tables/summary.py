"""Quality with the sampler selected on the other seeds: the table ``summary``."""

from __future__ import annotations

from bench.report.by_evaluations import AT_FLOOR, COPY_NOTE, primaries, quality_by_nfe
from bench.report.declared import DeclaredTable
from bench.report.study import Study
from bench.report.table import INTERVAL_COLUMNS, INTERVAL_NOTE, Table


def summary(study: Study) -> Table:
    """Primary metric at each NFE with the sampler that was selected on the other seeds."""
    data, text = quality_by_nfe(study, study.selected, with_sampler=True)
    copying = COPY_NOTE if any(map(study.floors.tells_copies, study.panels)) else ""
    caption = (
        f"Lower is better ({primaries(study)}). Each formulation, at each number of network "
        "evaluations (NFE), with the sampler that was best on the other seeds and other noise; "
        "its name stands below, with its grid where that is not its own. Floor: as many real "
        "samples against the same held-out data, and the band that holds 95% of such draws. "
        f"{AT_FLOOR.capitalize()} are cells whose seeds cannot be told from real samples, by the "
        "primary metric and those that see what it misses (rank tests, level 2%): which of them "
        "is lower is luck. "
        f"{copying}{INTERVAL_NOTE}"
    )
    return Table("summary", "Quality at each number of evaluations", caption, data, text)


TABLE = DeclaredTable(
    section="quality",
    rank=10,
    build=summary,
    columns=(
        "experiment", "dataset", "label", "metric", "nfe", "sampler",
        *INTERVAL_COLUMNS, "floor", "floor_low", "floor_high", "at_floor",
        "copies",
    ),
)  # fmt: skip
