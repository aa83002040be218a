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
GROUP = [*PANEL, "label", "nfe_requested"]


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


Values = dict[tuple[str, str, str], dict[int, float]]
"""A metric of each candidate on each seed, candidates sorted."""


def _by_candidate(cells: pd.DataFrame, bank: str) -> dict[tuple[str, ...], Values]:
    """Positive values of one noise bank, for each formulation and NFE."""
    rows = cells[(cells["noise_bank"] == bank) & (cells["value"] > 0)].astype({"value": float})
    means = rows.groupby([*GROUP, *CANDIDATE, "train_seed"], sort=True)["value"].mean()
    by_group: dict[tuple[str, ...], Values] = {}
    for key, value in zip(means.index, means.to_list(), strict=True):
        *group, solver, grid, path, seed = key
        values = by_group.setdefault(tuple(map(str, group)), {})
        values.setdefault((solver, grid, path), {})[int(seed)] = value
    return by_group


def _lowest(values: Values, seeds: set[int]) -> tuple[str, str, str] | None:
    """Candidate with the lowest mean log over some seeds among those that have the most."""
    logs = {
        candidate: [math.log(by_seed[seed]) for seed in sorted(seeds & by_seed.keys())]
        for candidate, by_seed in values.items()
    }
    most = max(map(len, logs.values()), default=0)
    if most == 0:
        return None
    means = {
        name: sum(seed_logs) / most for name, seed_logs in logs.items() if len(seed_logs) == most
    }
    return min(means, key=means.__getitem__)


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
    selection, scoring = (_by_candidate(cells, bank) for bank in ("selection", "scoring"))
    for key, train_seeds in cells.groupby(GROUP, sort=True)["train_seed"]:
        experiment, dataset, label, nfe = group = tuple(map(str, key))
        values = selection.get(group, {})
        seeds = {seed for by_seed in values.values() for seed in by_seed}
        for seed in sorted(map(int, set(train_seeds))):
            is_own_seed = seeds <= {seed}
            pick = _lowest(values, seeds if is_own_seed else seeds - {seed})
            if pick is None:
                continue
            chosen.append(
                {
                    "experiment": experiment,
                    "dataset": dataset,
                    "label": label,
                    "nfe": int(nfe),
                    "train_seed": seed,
                    **dict(zip(CANDIDATE, pick, strict=True)),
                    "value": scoring.get(group, {}).get(pick, {}).get(seed, math.nan),
                    "basis": "own seed" if is_own_seed else "other seeds",
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
