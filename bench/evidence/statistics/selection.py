"""Samplers chosen on other seeds and other noise than those they are scored on.

The best of several noisy scores is better than the same sampler's next score: with m candidates of
equal worth and independent errors of standard deviation s, by s times the mean of the largest of m
standard normal numbers (0.56 for two, 1.42 for eight). Choosing on the other seeds, in a noise bank
of its own, takes that bias away; the rest of this file prepares the cells that may be chosen.

An adaptive solver spends what its error control asks for. It is a candidate, one for each
tolerance, at the smallest number of evaluations that was swept and that it never exceeded on the
noise bank ``selection``, over seeds and batches: it competes against samplers that could have spent
as much or more. Above the largest number swept it is none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd

from bench.experiment.cells import SCORING, SELECTION, UNIFIED
from bench.sampling.solvers.catalogue import SOLVERS

PANEL = ["experiment", "dataset"]
CANDIDATE = ["solver", "grid", "sampled_path", "tolerance"]
"""What is chosen; ``tolerance`` is 0 for a solver that was asked for a number of evaluations."""

Candidate = tuple[str, str, str, float]
"""A value of each of :data:`CANDIDATE`."""

GROUP = [*PANEL, "label", "nfe_requested"]


def exact_cells(records: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Sweep rows of one metric that may be chosen, with the evaluations they compete at.

    A solver of fixed cost must have spent exactly the NFE that it was asked for. An adaptive one
    competes at the number of :func:`competes_at`, which stands in ``nfe_requested``. Refused and
    failed cells, floors, exact fields, the unified view, comparisons with the training set and
    values that are not finite are left out.
    """
    rows = records[
        (records["metric"] == metric)
        & (records["status"] == "ok")
        & records["train_seed"].notna()
        & records["noise_bank"].notna()
        & (records["reference_set"] != "train").fillna(True)
        & (records["grid"] != UNIFIED).fillna(True)
    ]
    fixed = rows["tolerance"].isna()
    exact = rows[fixed & (rows["nfe"] == rows["nfe_requested"]).fillna(False)]
    where = [*PANEL, "label", "train_seed", "noise_bank", *CANDIDATE, "nfe_requested"]
    adaptive = _placed(exact, rows[~fixed])
    # Rows of adaptive solvers follow those of fixed cost of the same records.
    rows = exact if adaptive.empty else pd.concat([exact, adaptive])
    rows = rows[[*where, "n_samples", "value"]]
    rows = rows[np.isfinite(rows["value"].to_numpy(dtype=float, na_value=np.nan))]
    return rows.fillna({"grid": "", "sampled_path": "", "tolerance": 0.0})


def competes_at(swept: Iterable[int], most: float) -> int | None:
    """The smallest swept number of evaluations that a spending never exceeded.

    Args:
        swept: numbers of evaluations that solvers of fixed cost were asked for.
        most: the most evaluations that any batch took.

    Returns:
        None where every number was exceeded.
    """
    return min((count for count in swept if most <= count), default=None)


def _placed(exact: pd.DataFrame, adaptive: pd.DataFrame) -> pd.DataFrame:
    """Rows of adaptive solvers that compete somewhere, with ``nfe_requested`` set to where."""
    key = [*PANEL, "label"]
    swept: dict[tuple[str, ...], set[int]] = {}
    asked = exact[[*key, "nfe_requested"]].drop_duplicates()
    for *place, nfe in asked.itertuples(index=False, name=None):
        swept.setdefault(tuple(place), set()).add(int(nfe))
    spending = adaptive[adaptive["noise_bank"] == SELECTION].dropna(subset="nfe_max")
    most = spending.groupby([*key, "solver", "tolerance"])["nfe_max"].max()
    places = {
        (*place, solver, tolerance): competes_at(swept.get(tuple(place), ()), value)
        for (*place, solver, tolerance), value in zip(
            most.index, most.astype(float).to_list(), strict=True
        )
    }
    cells = adaptive[[*key, "solver", "tolerance"]].itertuples(index=False, name=None)
    at = pd.array([places.get(cell) for cell in cells], dtype="Int64")
    adaptive = adaptive.assign(nfe_requested=at)
    return adaptive[adaptive["nfe_requested"].notna()]


Values = dict[Candidate, dict[int, float]]
"""A metric of each candidate on each seed, candidates sorted."""


def _by_candidate(cells: pd.DataFrame, bank: str) -> dict[tuple[str, ...], Values]:
    """Positive values of one noise bank, for each formulation and NFE."""
    rows = cells[(cells["noise_bank"] == bank) & (cells["value"] > 0)].astype({"value": float})
    means = rows.groupby([*GROUP, *CANDIDATE, "train_seed"], sort=True)["value"].mean()
    by_group: dict[tuple[str, ...], Values] = {}
    for key, value in zip(means.index, means.to_list(), strict=True):
        *group, solver, grid, path, tolerance, seed = key
        values = by_group.setdefault(tuple(map(str, group)), {})
        values.setdefault((solver, grid, path, float(tolerance)), {})[int(seed)] = value
    return by_group


def _ranked(values: Values, seeds: set[int]) -> list[Candidate]:
    """Candidates by their mean log over some seeds, of those that have the most of them.

    Candidates that are equal, as all grids of a single interval are, stand with the solver's own
    grid first.
    """
    logs = {
        candidate: [math.log(by_seed[seed]) for seed in sorted(seeds & by_seed.keys())]
        for candidate, by_seed in values.items()
    }
    most = max(map(len, logs.values()), default=0)
    if most == 0:
        return []
    means = {
        name: sum(seed_logs) / most for name, seed_logs in logs.items() if len(seed_logs) == most
    }
    return sorted(means, key=lambda candidate: (means[candidate], *_preference(candidate)))


def _preference(candidate: Candidate) -> tuple[bool, Candidate]:
    """Between equals the solver on its own grid: with one interval all grids are the same."""
    solver, grid, *_ = candidate
    own = SOLVERS[solver].grid if solver in SOLVERS else ""
    return grid not in ("", own), candidate


def _deciding(values: Values, seed: int) -> tuple[set[int], str]:
    """The seeds that choose for a seed, and what they are: the others, or itself if alone."""
    seeds = {other for by_seed in values.values() for other in by_seed}
    return (seeds, "own seed") if seeds <= {seed} else (seeds - {seed}, "other seeds")


def best_samplers(
    cells: pd.DataFrame, seed: int, best: int
) -> dict[tuple[str, str, str, int], list[Candidate]]:
    """The candidates for a seed that were best on the other seeds, most promising first.

    They are ranked as :func:`select_samplers` ranks them, whose choice is the first of each list.

    Args:
        cells: rows of one metric from :func:`exact_cells`; those of the noise bank ``selection``
            are read.
        seed: the seed that shall be scored; its own cells are read only where there are no others.
        best: the length of a list, or fewer where there are fewer candidates.

    Returns:
        A list for each (experiment, dataset, label, nfe).
    """
    by_group = {}
    for (experiment, dataset, label, nfe), values in _by_candidate(cells, SELECTION).items():
        seeds, _ = _deciding(values, seed)
        by_group[experiment, dataset, label, int(nfe)] = _ranked(values, seeds)[:best]
    return by_group


def select_samplers(cells: pd.DataFrame) -> pd.DataFrame:
    """Leave-one-seed-out choice of the sampler, for each formulation and NFE.

    For a held-out seed the candidate (solver, grid, sampled path, tolerance) with the lowest mean
    log metric over the *other* seeds in the noise bank ``selection`` is taken, and scored on the
    held-out seed in the bank ``scoring``: neither the seed nor the noise that scores has taken part
    in the choice. A candidate counts only where it has as many seeds as the best-covered one. With
    a single seed there is no other: its own selection bank decides (``basis = "own seed"``).

    Args:
        cells: rows of one metric from :func:`exact_cells`.

    Returns:
        One row for each (experiment, dataset, label, nfe, train_seed) with the chosen candidate,
        ``value`` (NaN where the choice has no scored cell on that seed) and ``basis``.
    """
    chosen = []
    selection, scoring = (_by_candidate(cells, bank) for bank in (SELECTION, SCORING))
    for key, train_seeds in cells.groupby(GROUP, sort=True)["train_seed"]:
        experiment, dataset, label, nfe = group = tuple(map(str, key))
        values = selection.get(group, {})
        for seed in sorted(map(int, set(train_seeds))):
            seeds, basis = _deciding(values, seed)
            ranked = _ranked(values, seeds)
            if not ranked:
                continue
            chosen.append(
                {
                    "experiment": experiment,
                    "dataset": dataset,
                    "label": label,
                    "nfe": int(nfe),
                    "train_seed": seed,
                    **dict(zip(CANDIDATE, ranked[0], strict=True)),
                    "value": scoring.get(group, {}).get(ranked[0], {}).get(seed, math.nan),
                    "basis": basis,
                }
            )
    columns = [*PANEL, "label", "nfe", "train_seed", *CANDIDATE, "value", "basis"]
    return pd.DataFrame(chosen, columns=columns).astype({"tolerance": float})


def fixed_sampler(cells: pd.DataFrame, solver: str) -> pd.DataFrame:
    """The scoring-bank cells of one solver, in the shape of :func:`select_samplers`."""
    rows = cells[(cells["solver"] == solver) & (cells["noise_bank"] == SCORING)]
    rows = rows.assign(nfe=rows["nfe_requested"].astype(int), basis="common solver")
    columns = [*PANEL, "label", "nfe", "train_seed", *CANDIDATE, "value", "basis"]
    rows = rows[columns].sort_values([*PANEL, "label", "nfe", "train_seed"], ignore_index=True)
    return rows.astype({"value": float, "train_seed": int})
