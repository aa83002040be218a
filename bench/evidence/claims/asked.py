"""What the records of one data set of one experiment hold, asked in the terms of the claims.

Every question that the records cannot answer raises
:class:`~bench.evidence.claims.rules.NotTestedError` with what is missing; no value is ever guessed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np
import pandas as pd

from bench.evidence.claims.rules import NotTestedError
from bench.evidence.samplers import OwnGrid, Samplers, solvers_grid
from bench.evidence.statistics import Crossing, exact_cells, nfe_to_quality, quality_targets
from bench.experiment.cells import EXACT, SCORING, UNIFIED

RECIPE = (
    "formulation", "trained_path", "coupling", "prediction", "time_sampling", "weighting",
    "sampler", "budget_total",
)  # fmt: skip
"""Columns that say what a model is and what it was given."""

BySeed = dict[int, float]
"""A value of each training seed."""


@dataclass(frozen=True)
class Role:
    """A model that a claim speaks of, known by what the records say of it.

    Attributes:
        name: in words.
        formulation: name of its formulation.
        facts: columns of the records, and what they must hold.
        remedy: where such a model comes from, for a reader who misses it.
    """

    name: str
    formulation: str
    facts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    remedy: str = ""


@dataclass(frozen=True)
class Evidence:
    """Records of one data set of one experiment, and the metric that ranks models there.

    Attributes:
        records: the rows.
        experiment, dataset: whose they are.
        primary: the metric.
        own_grid: the grid of the common solver for each model.
    """

    records: pd.DataFrame
    experiment: str
    dataset: str
    primary: str
    own_grid: OwnGrid = solvers_grid

    # --- who is there ------------------------------------------------------------------------

    @cached_property
    def _models(self) -> pd.DataFrame:
        """Successful rows of models that were trained within the experiment, without guidance."""
        rows = self.records
        keep = (
            (rows["status"] == "ok")
            & rows["train_seed"].notna()
            & rows["accounting"].notna()
            & rows["guidance"].isna()
        )
        return rows[keep].dropna(subset=["label", "value"])

    @cached_property
    def _by_metric(self) -> dict[str, pd.DataFrame]:
        return {str(metric): rows for metric, rows in self._models.groupby("metric")}

    def _rows(self, metric: str) -> pd.DataFrame:
        """Rows of one metric of trained models."""
        return self._by_metric.get(metric, self._models.iloc[:0])

    @cached_property
    def _recipes(self) -> pd.DataFrame:
        """What the rows of sampling say of each label: it is true of its last stage."""
        rows = self._models[self._models["noise_bank"].notna()]
        return rows[["label", *RECIPE]].drop_duplicates().astype(object)

    @cached_property
    def accounting(self) -> str | None:
        """How the experiment charges what is upstream; None where no row says it."""
        accountings = set(self._models["accounting"])
        return str(accountings.pop()) if len(accountings) == 1 else None

    def label(self, role: Role) -> str:
        """The one label that fills a role; of several, the one that bears the formulation's name.

        Raises:
            NotTestedError: no label, or several without the name.
        """
        wanted = {"formulation": role.formulation, **role.facts}
        labels = list(
            dict.fromkeys(
                str(row["label"])
                for row in self._recipes.to_dict("records")
                if all(not pd.isna(row[c]) and row[c] == value for c, value in wanted.items())
            )
        )
        if role.formulation in labels:
            return role.formulation
        if len(labels) == 1:
            return labels[0]
        if not labels:
            told = role.remedy or ", ".join(f"{c} {v}" for c, v in role.facts.items())
            raise NotTestedError(f"no records of {role.name}" + (f" ({told})" if told else ""))
        raise NotTestedError(f"several labels are {role.name}: {', '.join(labels)}")

    def matched(self, *roles: Role) -> list[str]:
        """Labels of the roles, which must have been given one and the same budget."""
        labels = [self.label(role) for role in roles]
        rows = self._recipes[self._recipes["label"].isin(labels)]
        if rows["budget_total"].isna().any() or len(set(rows["budget_total"])) != 1:
            raise NotTestedError(f"{' and '.join(labels)} were not given one budget")
        return labels

    def samplers(self) -> dict[str, str]:
        """How each model becomes samples (``ode``, ``consistency`` ...), by label."""
        recipes = self._recipes.dropna(subset="sampler").drop_duplicates("label")
        return dict(zip(recipes["label"], recipes["sampler"], strict=True))

    # --- what models are -----------------------------------------------------------------------

    def of_model(self, label: str, metric: str) -> BySeed:
        """A metric that each model has once."""
        rows = self._rows(metric)
        return _positive(rows[rows["label"] == label].groupby("train_seed")["value"].mean())

    # --- quality -------------------------------------------------------------------------------

    @cached_property
    def _by_sampler(self) -> Samplers:
        """Cells of exact cost of the primary metric."""
        return Samplers(exact_cells(self._rows(self.primary), self.primary), self.own_grid)

    @cached_property
    def selected(self) -> pd.DataFrame:
        """Cells with the sampler that was chosen on the other seeds."""
        return self._by_sampler.selected.dropna(subset="value")

    @property
    def common(self) -> pd.DataFrame:
        """Cells with one common solver, on the grid that each formulation names."""
        return self._by_sampler.common

    @cached_property
    def _targets(self) -> dict[float, float]:
        return quality_targets(self.selected)

    def quality(self, label: str, nfe: int) -> BySeed:
        """Primary metric with the selected sampler."""
        rows = self.selected
        rows = rows[(rows["label"] == label) & (rows["nfe"] == nfe)]
        return _positive(rows.set_index("train_seed")["value"])

    def most_evaluations(self, labels: Iterable[str]) -> int:
        """Largest NFE at which one of the labels has a value."""
        rows = self.selected[self.selected["label"].isin(list(labels))]
        if rows.empty:
            raise NotTestedError(f"no scored samples of {', '.join(labels) or 'any model'}")
        return int(rows["nfe"].max())

    def best_of(self, labels: Iterable[str], nfe: int) -> BySeed:
        """Primary metric of the best of several labels at an NFE.

        The best one is chosen for each seed on the other seeds, as samplers are, so that being
        chosen does not flatter it.
        """
        rows = self.selected
        rows = rows[rows["label"].isin(list(labels)) & (rows["nfe"] == nfe) & (rows["value"] > 0)]
        rows = rows.assign(log=np.log(rows["value"].to_numpy(dtype=float)))
        logs = rows.pivot_table(index="label", columns="train_seed", values="log")
        by_seed = {}
        for seed in logs.columns:
            other_logs = logs.drop(columns=seed)
            other_logs = other_logs[
                other_logs.notna().sum(axis=1) == other_logs.notna().sum(axis=1).max()
            ]
            if other_logs.shape[1] and len(other_logs):
                value = logs.loc[other_logs.mean(axis=1).idxmin(), seed]
                if not math.isnan(value):
                    by_seed[int(seed)] = math.exp(value)
        if not by_seed:
            names = ", ".join(sorted(labels)) or "any such model"
            raise NotTestedError(f"no scored samples of {names} at {nfe} evaluations")
        return by_seed

    def evaluations_needed(
        self, label: str, chosen: pd.DataFrame, factor: float
    ) -> dict[int, Crossing]:
        """Bounds of the NFE at which each seed comes within ``factor`` of the best attainable."""
        rows = chosen[chosen["label"] == label]
        if rows.empty or factor not in self._targets:
            raise NotTestedError(f"no scored samples of {label} with this sampler")
        target = self._targets[factor]
        return {
            int(str(seed)): nfe_to_quality(curve["nfe"].tolist(), curve["value"].tolist(), target)
            for seed, curve in rows.groupby("train_seed")
        }

    # --- exact fields ----------------------------------------------------------------------------

    def exact_ends(self) -> dict[str, dict[int, tuple[float, float]]]:
        """Distance of the exact field's end points, sampled on each path, to one fine solve.

        Returns:
            For each path and NFE the RMSE and its standard error, of the solver that is nearest.
        """
        rows = self.records
        keep = (
            (rows["label"] == EXACT)
            & (rows["grid"] == UNIFIED)
            & (rows["metric"] == "endpoint_rmse")
            & (rows["noise_bank"] == SCORING)
            & (rows["status"] == "ok")
        )
        rows = rows[keep.fillna(False)].dropna(subset=["value", "sampled_path", "nfe_requested"])
        by_path: dict[str, dict[int, tuple[float, float]]] = {}
        for (path, nfe), cells in rows.groupby(["sampled_path", "nfe_requested"]):
            value = cells["value"].to_numpy(dtype=float)
            error = cells["value_se"].to_numpy(dtype=float, na_value=0.0)
            nearest = int(value.argmin())
            by_nfe = by_path.setdefault(str(path), {})
            by_nfe[int(str(nfe))] = (float(value[nearest]), float(error[nearest]))
        if len(by_path) < 2:
            raise NotTestedError("no records of the exact field on two paths or more")
        return by_path

    # --- time ------------------------------------------------------------------------------------

    def slopes(self) -> BySeed:
        """Slope of log seconds a sample on log NFE, of each seed: the mean over its labels.

        Least squares with one slope a label and an intercept of its own for every solver; solvers
        with at least three numbers of evaluations. The models of a seed are timed in one round.
        """
        rows = self._rows("seconds_per_sample")
        rows = rows[rows["tolerance"].isna() & (rows["value"] > 0)]
        rows = rows.dropna(subset=["nfe", "solver"])
        by_seed: dict[int, list[float]] = {}
        for (label_seed, _), timed in rows.groupby(["train_seed", "label"]):
            logs = timed.assign(
                x=np.log(timed["nfe"].astype(float)), y=np.log(timed["value"].astype(float))
            )
            groups = logs.fillna({"grid": ""}).groupby(["solver", "grid"])
            wide = groups["x"].transform("nunique") >= 3
            x, y = ((logs[c] - groups[c].transform("mean"))[wide] for c in ("x", "y"))
            if len(x):
                by_seed.setdefault(int(str(label_seed)), []).append(
                    float((x * y).sum() / (x * x).sum())
                )
        if not by_seed:
            raise NotTestedError("no measured times at three numbers of evaluations or more")
        return {seed: math.fsum(slopes) / len(slopes) for seed, slopes in by_seed.items()}


def _positive(values: pd.Series[float]) -> BySeed:
    """Values by seed, without those that have no log."""
    return {int(str(s)): float(v) for s, v in values.items() if math.isfinite(v) and v > 0}
