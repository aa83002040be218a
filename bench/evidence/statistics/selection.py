"""Samplers chosen on other seeds and other noise than those they are scored on.

The best of several noisy scores is better than the same sampler's next score: with m candidates of
equal worth and independent errors of standard deviation s, by s times the mean of the largest of m
standard normal numbers (0.56 for two, 1.42 for eight). Choosing on the other seeds, in a noise bank
of its own, takes that bias away; the rest of this file prepares the cells that may be chosen.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from bench.experiment.cells import UNIFIED

PANEL = ["experiment", "dataset"]
CANDIDATE = ["solver", "grid", "sampled_path"]


def exact_cells(records: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Sweep rows of one metric whose solver hit the requested NFE exactly, at a fixed cost.

    Adaptive solvers (``tolerance`` set), refused and failed cells, floors, exact fields, the
    unified view, comparisons with the training set and values that are not finite are left out.
    """
    rows = records[
        (records["metric"] == metric)
        & (records["status"] == "ok")
        & records["train_seed"].notna()
        & records["noise_bank"].notna()
        & records["tolerance"].isna()
        & (records["nfe"] == records["nfe_requested"]).fillna(False)
        & (records["reference_set"] != "train").fillna(True)
        & (records["grid"] != UNIFIED).fillna(True)
    ]
    where = [*PANEL, "label", "train_seed", "noise_bank", *CANDIDATE, "nfe_requested"]
    rows = rows[[*where, "n_samples", "value"]]
    rows = rows[np.isfinite(rows["value"].to_numpy(dtype=float, na_value=np.nan))]
    return rows.fillna({"grid": "", "sampled_path": ""})


def _by_candidate(cells: pd.DataFrame, bank: str) -> pd.DataFrame:
    """Metric of one noise bank: a row a candidate (sorted), a column a seed."""
    rows = cells[(cells["noise_bank"] == bank) & (cells["value"] > 0)]
    rows = rows.astype({"value": float})
    return rows.pivot_table(index=CANDIDATE, columns="train_seed", values="value", sort=True)


def _lowest(table: pd.DataFrame) -> tuple[str, str, str] | None:
    """Candidate with the lowest mean log among those that have the most seeds."""
    counts = table.notna().sum(axis=1)
    if counts.empty or counts.max() == 0:
        return None
    means = np.log(table[counts == counts.max()]).mean(axis=1)
    solver, grid, path = means.index[int(means.to_numpy().argmin())]
    return solver, grid, path


def select_samplers(cells: pd.DataFrame) -> pd.DataFrame:
    """Leave-one-seed-out choice of the sampler, for each formulation and NFE.

    For a held-out seed the candidate (solver, grid, sampled path) with the lowest mean log metric
    over the *other* seeds in the noise bank ``selection`` is taken, and scored on the held-out seed
    in the bank ``scoring``: neither the seed nor the noise that scores has taken part in the
    choice. A candidate counts only where it has as many seeds as the best-covered one. With a
    single seed there is no other: its own selection bank decides (``basis = "own seed"``).

    Args:
        cells: rows of one metric from :func:`exact_cells`.

    Returns:
        One row for each (experiment, dataset, label, nfe, train_seed) with the chosen candidate,
        ``value`` (NaN where the choice has no scored cell on that seed) and ``basis``.
    """
    chosen = []
    for key, group in cells.groupby([*PANEL, "label", "nfe_requested"], sort=True):
        experiment, dataset, label, nfe = map(str, key)
        selection, scoring = (_by_candidate(group, bank) for bank in ("selection", "scoring"))
        for seed in sorted(set(group["train_seed"])):
            others = selection.drop(columns=seed, errors="ignore")
            own = others.shape[1] == 0
            pick = _lowest(selection if own else others)
            if pick is None:
                continue
            known = seed in scoring.columns and pick in scoring.index
            chosen.append(
                {
                    "experiment": experiment,
                    "dataset": dataset,
                    "label": label,
                    "nfe": int(nfe),
                    "train_seed": int(seed),
                    **dict(zip(CANDIDATE, pick, strict=True)),
                    "value": float(scoring.loc[pick, seed]) if known else math.nan,
                    "basis": "own seed" if own else "other seeds",
                }
            )
    columns = [*PANEL, "label", "nfe", "train_seed", *CANDIDATE, "value", "basis"]
    return pd.DataFrame(chosen, columns=columns)


def fixed_sampler(cells: pd.DataFrame, solver: str) -> pd.DataFrame:
    """The scoring-bank cells of one solver, in the shape of :func:`select_samplers`."""
    rows = cells[(cells["solver"] == solver) & (cells["noise_bank"] == "scoring")]
    rows = rows.assign(nfe=rows["nfe_requested"].astype(int), basis="common solver")
    columns = [*PANEL, "label", "nfe", "train_seed", *CANDIDATE, "value", "basis"]
    rows = rows[columns].sort_values([*PANEL, "label", "nfe", "train_seed"], ignore_index=True)
    return rows.astype({"value": float, "train_seed": int})
