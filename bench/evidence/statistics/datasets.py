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

from bench.evidence.statistics.intervals import LEVEL

Scores = NDArray[np.float64]


def interquartile_mean(scores: Scores) -> float:
    """Mean of the middle half of all runs on all data sets, ``scores [runs, datasets]``.

    The scores are pooled, so they must be on one scale: ratios to a baseline or to the floor of
    their data set. A quarter of them, rounded down, is cut on either side.
    """
    cut = scores.size // 4
    ordered = np.partition(scores, (cut, scores.size - cut - 1), axis=None)
    return float(ordered[cut : scores.size - cut].mean())


def probability_of_improvement(scores: Scores, references: Scores) -> float:
    """Chance that a run of ``scores`` is below a run of ``references``, averaged over data sets.

    On each data set P(X < Y) + P(X = Y) / 2 over all pairs of runs, the Mann-Whitney statistic over
    the number of pairs. Free of scale; it tells how often, not by how much.

    Args:
        one, other: scores ``[runs, datasets]``; the numbers of runs may differ.
    """
    below = scores[:, None, :] < references[None, :, :]
    ties = scores[:, None, :] == references[None, :, :]
    return float((below + 0.5 * ties).mean())


@dataclass(frozen=True)
class Ranks:
    """Formulations ranked on every data set.

    Attributes:
        mean: mean rank of each formulation, 1 for the lowest score; ties share theirs.
        critical_difference: mean ranks that differ by more differ (Nemenyi).
        datasets: data sets ranked.
    """

    mean: NDArray[np.float64]
    critical_difference: float
    datasets: int


def ranks(scores: Scores, level: float = LEVEL) -> Ranks:
    """Mean ranks of the columns of ``scores [datasets, formulations]``; lower scores rank first."""
    datasets, formulations = scores.shape
    below = (scores[:, None, :] < scores[:, :, None]).sum(axis=2)
    equal = (scores[:, None, :] == scores[:, :, None]).sum(axis=2)
    return Ranks(
        mean=(below + (equal + 1) / 2).mean(axis=0),
        critical_difference=critical_difference(formulations, datasets, level),
        datasets=datasets,
    )


def critical_difference(formulations: int, datasets: int, level: float = LEVEL) -> float:
    """Nemenyi's critical difference of mean ranks, ``q sqrt(k (k + 1) / (6 n))``.

    ``q`` is the studentized range of k formulations at infinite degrees of freedom over sqrt(2).
    It corrects for all pairs that are compared.
    """
    q = studentized_range(formulations, level) / math.sqrt(2)
    return q * math.sqrt(formulations * (formulations + 1) / (6 * datasets))


STUDENTIZED_RANGE = (
    2.771807648699355, 3.314493155398122, 3.6331595749026278, 3.857655510378623, 4.030092053180576,
    4.169554155006547, 4.286309409349043, 4.38650911549537, 4.474124221725907, 4.551863584065974,
    4.621655471868518, 4.684919847313499, 4.7427317076846975, 4.795923860431186, 4.845154183957343,
    4.890951125576789, 4.933745358126922, 4.973892348748306, 5.0116887941184425,
)  # fmt: skip
"""Its quantile at :data:`LEVEL` and infinite degrees of freedom, of 2, 3, ... groups.

They stand here because the distributions of SciPy take longer to import than a report to write.
"""


def studentized_range(groups: int, level: float = LEVEL) -> float:
    """The quantile ``level`` of the studentized range at infinite degrees of freedom."""
    if level == LEVEL and 0 <= groups - 2 < len(STUDENTIZED_RANGE):
        return STUDENTIZED_RANGE[groups - 2]
    from scipy import stats

    return float(stats.studentized_range.ppf(level, groups, np.inf))
