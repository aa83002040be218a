"""What a reader must know before reading the rest."""

from __future__ import annotations

from bench.report.study import Study

CELL = (
    *("dataset", "label", "train_seed", "noise_bank", "sampled_path"),
    *("solver", "grid", "nfe_requested", "tolerance"),
)
"""Columns that tell the cells of a sweep, or of the timing, apart."""


def warnings(study: Study) -> list[str]:
    """What a reader must know before reading the rest: failures, missing seeds, busy machines."""
    said = []
    for panel in study.panels:
        for label in study.labels(panel):
            failed = study.failures(panel, label)
            if failed.empty:
                continue
            seeds = ", ".join(map(str, sorted(study.failed_seeds(panel, label))))
            where = f"{study.titles[label]} on {panel.title}, seeds {seeds}"
            said.append(f"Failed: {where}: {failed['error'].dropna().iloc[0]}")
    shared = study.records[(study.records["status"] == "failed") & study.records["label"].isna()]
    for row in shared.fillna({"dataset": ""}).to_dict("records"):
        place = f" of {row['dataset']}" if row["dataset"] else ""
        said.append(f"Failed: {row['stage']}{place}: {row['error']}")
    timed = study.records[study.records["metric"] == "seconds_per_sample"]
    busy = int(timed["error"].str.contains("contended", na=False).sum())
    if busy:
        said.append(
            f"{busy} of {len(timed)} times were measured while another process had the core; "
            "read seconds with care."
        )
    smaller = study.records["error"].str.contains("out of memory: ", na=False)
    halved = len(study.records[smaller].drop_duplicates(list(CELL)))
    if halved:
        said.append(
            f"{halved} cells did not fit into memory and were computed in smaller batches; "
            "their rows say of which size."
        )
    return said
