"""Retraining error and resampling error apart: variance components over training seeds.

The log metric of seed i in noise bank j, scored with N_j samples, is taken as

    x_ij = mean + bank_j + seed_i + error_ij,   Var seed = r^2,   Var error_ij = s^2 / N_j,

seeds and errors independent. ``r`` is the retraining error; ``s / sqrt(N)`` is the resampling error
at N samples, which more samples make smaller and more seeds do not need. ``bank_j`` takes up what
all seeds of a bank share, such as its block of reference samples; it is no error of a comparison.
Samples are counted in blocks of fixed size, over which the metric is a mean, so N_j enters as 1/N_j
and the expected value does not depend on it.

The estimators are those of the analysis of variance (Searle, Casella & McCulloch, Variance
Components, 1992, chapter 3), with weights N_j: the mean square within seeds estimates s^2, the mean
square of the weighted seed means estimates r^2 + s^2 / sum N_j, and r^2 is their difference. That
difference is unbiased and may be negative; set to zero it is biased upwards, by most where r is
small: with r = 0, five seeds and two banks the bias is 0.38 s^2 / sum N_j. Averages over
formulations are therefore taken before truncation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtri, fdtri

from bench.evidence.statistics.intervals import LEVEL
from bench.evidence.statistics.selection import CANDIDATE, PANEL


@dataclass(frozen=True)
class Spread:
    """How a log metric, or a paired difference of two, spreads over training seeds.

    Attributes:
        retraining: standard deviation r.
        per_sample: variance s^2 of the resampling error of a single sample.
    """

    retraining: float
    per_sample: float

    def resampling(self, samples: float) -> float:
        """Resampling standard deviation s / sqrt(samples)."""
        return math.sqrt(self.per_sample / samples)

    def total(self, samples: float) -> float:
        """Standard deviation over seeds at a number of samples, both errors together."""
        return math.hypot(self.retraining, self.resampling(samples))

    def share(self, samples: float) -> float:
        """Share of the variance over seeds that is retraining, in [0, 1]; NaN without variance."""
        total = self.total(samples)
        return (self.retraining / total) ** 2 if total > 0 else math.nan


@dataclass(frozen=True)
class Components:
    """Estimated variance components.

    Attributes:
        between: mean square of the weighted seed means, an estimate of r^2 + s^2 / samples.
        per_sample: s^2, the resampling variance of a single sample.
        samples: samples over all banks of a seed, sum N_j.
        seeds: seeds that entered; ``between`` has one degree of freedom less.
        degrees: degrees of freedom of ``per_sample``.
    """

    between: float
    per_sample: float
    samples: int
    seeds: int
    degrees: int

    @property
    def untruncated(self) -> float:
        """Unbiased estimate of the retraining variance r^2; may be negative."""
        return self.between - self.per_sample / self.samples

    @property
    def spread(self) -> Spread:
        """Both errors, the retraining variance set to zero where its estimate is negative."""
        return Spread(math.sqrt(max(0.0, self.untruncated)), self.per_sample)

    def retraining_interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Interval of the retraining standard deviation r, cut at zero.

        Modified large-sample bounds of a difference of mean squares (Ting, Burdick, Graybill,
        Jeyaratnam & Lu, J. Statist. Comput. Simul. 35, 1990): near the stated coverage for normal
        errors at any degrees of freedom.
        """
        n, m, tail = self.seeds - 1, self.degrees, (1 - level) / 2
        large, small = self.between, self.per_sample / self.samples
        upper, lower = float(fdtri(n, m, 1 - tail)), float(fdtri(n, m, tail))
        g1, g2 = 1 - n / float(chdtri(n, tail)), 1 - m / float(chdtri(m, tail))
        h1, h2 = n / float(chdtri(n, 1 - tail)) - 1, m / float(chdtri(m, 1 - tail)) - 1
        g12 = ((upper - 1) ** 2 - (g1 * upper) ** 2 - h2**2) / upper
        h12 = ((1 - lower) ** 2 - (h1 * lower) ** 2 - g2**2) / lower
        below = (g1 * large) ** 2 + (h2 * small) ** 2 + g12 * large * small
        above = (h1 * large) ** 2 + (g2 * small) ** 2 + h12 * large * small
        least = large - small - math.sqrt(max(0.0, below))
        most = large - small + math.sqrt(max(0.0, above))
        return math.sqrt(max(0.0, least)), math.sqrt(max(0.0, most))


def components(values: NDArray[np.float64], samples: Sequence[int]) -> Components | None:
    """Components of ``values [seeds, banks]``, additive on their scale, and the samples of a bank.

    Seeds that lack a bank are left out; None with fewer than two seeds or two banks.
    """
    x = values[np.isfinite(values).all(axis=1)]
    n, banks = x.shape
    if n < 2 or banks < 2:
        return None
    weights = np.asarray(samples, dtype=float)
    means = x @ weights / weights.sum()
    residuals = x - means[:, None] - (x.mean(axis=0) - means.mean())
    degrees = (n - 1) * (banks - 1)
    return Components(
        between=float(means.var(ddof=1)),
        per_sample=float((weights * residuals**2).sum()) / degrees,
        samples=int(weights.sum()),
        seeds=n,
        degrees=degrees,
    )


def pooled(parts: Iterable[Components]) -> Components | None:
    """Average components of like quantities, such as all pairs of formulations on a data set.

    Mean squares are averaged before anything is truncated. The quantities share seeds, so degrees
    of freedom do not add up: the average keeps those of its smallest part. None without parts.
    """
    all_parts = list(parts)
    if not all_parts:
        return None
    samples = min(part.samples for part in all_parts)
    spread = float(np.mean([part.per_sample for part in all_parts]))
    retraining = float(np.mean([part.untruncated for part in all_parts]))
    return Components(
        between=retraining + spread / samples,
        per_sample=spread,
        samples=samples,
        seeds=min(part.seeds for part in all_parts),
        degrees=min(part.degrees for part in all_parts),
    )


# --- from records --------------------------------------------------------------------------------


def bank_values(cells: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """Log metric of every chosen cell in every noise bank.

    The choice for a seed was made on other seeds, and banks are drawn by seed, so neither bank of
    the seed has taken part in it.

    Args:
        cells: rows of one metric from :func:`bench.evidence.statistics.selection.exact_cells`.
        chosen: their :func:`bench.evidence.statistics.selection.select_samplers`.

    Returns:
        A row for each (experiment, dataset, label, nfe, train_seed), a column for each bank, named
        by (noise_bank, n_samples).
    """
    cells = cells.rename(columns={"nfe_requested": "nfe"}).astype({"value": float})
    cells = cells[(cells["value"] > 0) & cells["n_samples"].notna()]
    key = [*PANEL, "label", "nfe", "train_seed"]
    rows = cells.merge(chosen[[*key, *CANDIDATE]], on=[*key, *CANDIDATE])
    rows = rows.assign(log=np.log(rows["value"]))
    return rows.pivot_table(index=key, columns=["noise_bank", "n_samples"], values="log")


def label_components(values: pd.DataFrame, label: str, nfe: int) -> Components | None:
    """Components of one formulation at one NFE, from the :func:`bank_values` of one data set."""
    return _components(_at(values, label, nfe))


def paired_components(values: pd.DataFrame, label: str, reference: str) -> Components | None:
    """Components of the paired log ratio of two formulations, at the largest NFE both have.

    What a seed and its noise give to both formulations alike has gone; this is what a paired
    comparison is up against.
    """
    labels, counts = (values.index.get_level_values(name) for name in ("label", "nfe"))
    shared = set(counts[labels == label]) & set(counts[labels == reference])
    return paired_components_at(values, label, reference, max(shared)) if shared else None


def paired_components_at(
    values: pd.DataFrame, label: str, reference: str, nfe: int
) -> Components | None:
    """The same at one NFE; None where one of the two lacks it, or too few seeds have both."""
    difference = _at(values, label, nfe) - _at(values, reference, nfe)
    return None if difference.empty else _components(difference)


def _at(values: pd.DataFrame, label: str, nfe: int) -> pd.DataFrame:
    """A row a seed, a column a bank."""
    index = values.index
    keep = (index.get_level_values("label") == label) & (index.get_level_values("nfe") == nfe)
    return values[keep].droplevel([*PANEL, "label", "nfe"])


def most_evaluations(values: pd.DataFrame, label: str) -> int | None:
    """Largest NFE at which some seed of a formulation has a value in every bank that it used.

    A cell that was stopped early has fewer samples, and so a column of its own.
    """
    swept = values[values.index.get_level_values("label") == label]
    for nfe in sorted(set(swept.index.get_level_values("nfe")), reverse=True):
        used = _used(_at(values, label, nfe))
        if used.shape[1] and len(used.dropna()):
            return int(nfe)
    return None


def _used(values: pd.DataFrame) -> pd.DataFrame:
    return values.dropna(axis="columns", how="all")


def _components(values: pd.DataFrame) -> Components | None:
    values = _used(values)
    samples = [int(count) for count in values.columns.get_level_values("n_samples")]
    return components(values.to_numpy(dtype=float), samples)
