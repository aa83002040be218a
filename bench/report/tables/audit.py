"""Evaluations asked for, declared and counted: the table ``audit``."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import pandas as pd

from bench.evidence.audit import by_tolerance, fixed_cost
from bench.report.declared import DeclaredTable
from bench.report.numbers import MISSING, plain, tick
from bench.report.solver_orders import CATALOGUE, by_names
from bench.report.study import Study
from bench.report.table import BLOCK, MISMATCH, REFUSAL, REFUSED, Table, short_reason
from bench.sampling.solvers.catalogue import SOLVERS


def audit(study: Study) -> Table:
    """Evaluations asked for, declared and counted, for every solver at every cost."""
    fixed = _fixed(study)
    adaptive = _adaptive(study)
    text = [*_fixed_text(fixed), *_adaptive_text(adaptive)]
    wrong = int(fixed["wrong"].sum()) if len(fixed) else 0
    verdict = (
        f"{wrong} cells do not agree: each is marked, and the run is not sound. "
        if wrong
        else "All cells agree. "
    )
    caption = (
        "Over all models, exact fields, grids, seeds, noise banks and data sets, timing included. "
        "First line: evaluations counted at the network for each sample, least to most. Below: "
        "what the catalogue declares, and how many cells were counted. "
        f"Refused: {REFUSAL}, or the reason that stands beside it. {verdict}"
        "Solvers with a tolerance declare nothing: mean over cells, and least to most over their "
        "batches."
    )
    data = pd.concat([fixed, adaptive], ignore_index=True)
    costs = [f"NFE {nfe}" for nfe in sorted(set(fixed["nfe_requested"]))]
    costs += [_tolerance(x) for x in sorted(set(adaptive["tolerance"]), reverse=True)]
    columns = [BLOCK, "solver", *costs, "refused because"]
    frame = pd.DataFrame(text, columns=columns).fillna(MISSING)
    return Table("audit", "Evaluations: asked for, declared, counted", caption, data, frame)


def _fixed(study: Study) -> pd.DataFrame:
    """A row a solver, cost of one evaluation of the model, and number of evaluations."""
    cells = fixed_cost(study.records)
    keys = ["solver", "evaluations", "nfe_requested"]
    cells = cells.assign(
        counted=cells["least"].notna(), failed=cells["least"].isna() & ~cells["refused"]
    )
    rows = cells.groupby(keys, as_index=False).agg(
        intervals=("intervals", "max"),
        declared=("declared", "max"),
        counted_least=("least", "min"),
        counted_most=("most", "max"),
        cells=("counted", "sum"),
        refused=("refused", "sum"),
        failed=("failed", "sum"),
        reason=("reason", lambda told: "; ".join(sorted(set(told.dropna())))),
        wrong=("wrong", lambda told: int((told != "").sum())),
        wrong_first=("wrong", lambda told: next((t for t in told if t), "")),
    )
    order = rows["solver"].map(CATALOGUE)
    return rows.assign(order=order).sort_values(["order", *keys[1:]]).drop(columns="order")


def _fixed_text(rows: pd.DataFrame) -> Iterator[dict[str, str]]:
    for (solver, each), solver_rows in by_names(rows, "solver", "evaluations"):
        line = {
            BLOCK: "Solvers of declared cost",
            "solver": SOLVERS[solver].title + ("" if each == "1" else " (guided)"),
        }
        for row in solver_rows.to_dict("records"):
            line[f"NFE {row['nfe_requested']}"] = _fixed_cell(row)
        reasons = {short_reason(told) for told in solver_rows["reason"] if told}
        yield line | {"refused because": "; ".join(sorted(reasons)) or MISSING}


def _fixed_cell(row: dict[Hashable, Any]) -> str:
    refused = f"{row['refused']} refused" if row["refused"] else ""
    if row["wrong"]:
        return f"{MISMATCH}: {row['wrong']} cells\n{row['wrong_first']}"
    if not row["cells"]:
        return f"{REFUSED}\n{row['refused']} cells" if refused else MISSING
    count = f"{row['intervals']:.0f} interval{'s' if row['intervals'] > 1 else ''}"
    told = f"declared {row['declared']:.0f}: {count}"
    cells = ", ".join(filter(None, (f"{row['cells']:,} cells", refused)))
    return f"{_span(row['counted_least'], row['counted_most'])}\n{told}\n{cells}"


def _span(least: float, most: float) -> str:
    return f"{least:.0f}" if least == most else f"{least:.0f} to {most:.0f}"


def _adaptive(study: Study) -> pd.DataFrame:
    """A row a solver and tolerance."""
    cells = by_tolerance(study.records)
    rows = cells.groupby(["solver", "tolerance"], as_index=False).agg(
        counted_mean=("mean", "mean"),
        counted_least=("least", "min"),
        counted_most=("most", "max"),
        cells=("mean", "size"),
    )
    return rows.assign(order=rows["solver"].map(CATALOGUE)).sort_values(
        ["order", "tolerance"], ascending=[True, False]
    ).drop(columns="order")  # fmt: skip


def _tolerance(value: float) -> str:
    return f"tolerance {tick(float(value))}"


def _adaptive_text(rows: pd.DataFrame) -> Iterator[dict[str, str]]:
    for (solver,), solver_rows in by_names(rows, "solver"):
        line = {BLOCK: "Solvers with a tolerance", "solver": SOLVERS[solver].title}
        for row in solver_rows.to_dict("records"):
            span = _span(float(row["counted_least"]), float(row["counted_most"]))
            mean = plain(float(row["counted_mean"]))
            line[_tolerance(row["tolerance"])] = f"{mean}\n{span}\n{row['cells']:,} cells"
        yield line


TABLE = DeclaredTable(
    section="solvers",
    rank=30,
    build=audit,
)
