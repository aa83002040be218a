"""Summaries over several data sets: interquartile mean, probability of improvement, ranks.

Interquartile mean and probability of improvement are those of rliable (Agarwal et al.,
2021, 2108.13264). Both take scores of n runs on m data sets; lower is better here. rliable's
intervals are percentile bootstraps over runs, which undercover at the 3 to 10 seeds of these
experiments, so none is attached: read them beside the intervals of each data set.

Ranks follow Demsar (JMLR 7, 2006): the data sets are the replicates, not the seeds, and few data
sets tell little: the critical difference says how little.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bench.evidence.statistics.intervals import LEVEL

Scores = NDArray[np.float64]


def interquartile_mean(scores: Scores) -> float:
    """Mean of the middle half of all runs on all data sets, ``scores [runs, datasets]``.

    The scores are pooled, so they must be on one scale: ratios to a baseline or to the floor of
    their data set. A quarter of them, rounded down, is cut on either side.
    """
    return float(stats.trim_mean(scores, proportiontocut=0.25, axis=None))


def probability_of_improvement(one: Scores, other: Scores) -> float:
    """Chance that a run of ``one`` is below a run of ``other``, averaged over data sets.

    On each data set P(X < Y) + P(X = Y) / 2 over all pairs of runs, the Mann-Whitney statistic over
    the number of pairs. Free of scale; it tells how often, not by how much.

    Args:
        one, other: scores ``[runs, datasets]``; the numbers of runs may differ.
    """
    below = one[:, None, :] < other[None, :, :]
    ties = one[:, None, :] == other[None, :, :]
    return float((below + 0.5 * ties).mean())


@dataclass(frozen=True)
class Ranks:
    """Formulations ranked on every data set.

    Attributes:
        mean: mean rank of each formulation, 1 for the lowest score; ties share theirs.
        friedman_p: p-value of equal ranks (Friedman's chi-squared); NaN below three formulations or
            two data sets. An approximation that is poor below ten data sets.
        critical_difference: mean ranks that differ by more differ (Nemenyi).
        datasets: data sets ranked.
    """

    mean: NDArray[np.float64]
    friedman_p: float
    critical_difference: float
    datasets: int


def ranks(scores: Scores, level: float = LEVEL) -> Ranks:
    """Mean ranks of the columns of ``scores [datasets, formulations]``; lower scores rank first."""
    datasets, formulations = scores.shape
    tested = formulations >= 3 and datasets >= 2
    return Ranks(
        mean=stats.rankdata(scores, axis=1).mean(axis=0),
        friedman_p=float(stats.friedmanchisquare(*scores.T).pvalue) if tested else math.nan,
        critical_difference=critical_difference(formulations, datasets, level),
        datasets=datasets,
    )


def critical_difference(formulations: int, datasets: int, level: float = LEVEL) -> float:
    """Nemenyi's critical difference of mean ranks, ``q sqrt(k (k + 1) / (6 n))``.

    ``q`` is the studentized range of k formulations at infinite degrees of freedom over sqrt(2).
    It corrects for all pairs that are compared.
    """
    q = float(stats.studentized_range.ppf(level, formulations, np.inf)) / math.sqrt(2)
    return q * math.sqrt(formulations * (formulations + 1) / (6 * datasets))
