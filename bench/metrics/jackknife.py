"""Bias and standard error of a Frechet distance from the samples at hand: the jackknife.

A Frechet distance (Heusel et al., 1706.08500) between Gaussian fits to finite samples is biased
upwards, by c / n to first order. A bootstrap sample repeats samples, which shrinks its covariance
and adds the same bias once more: its replicates are centred too high, and a percentile interval may
miss the distance altogether. The delete-block jackknife (Quenouille 1956; Shao & Wu, Ann. Statist.
17, 1989) leaves out one of g blocks at a time and repeats nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Sufficient statistics of a Gaussian fit, in float64.

    Attributes:
        count: samples.
        mean: ``[d]``.
        scatter: ``[d, d]``, sum of outer products of the deviations from the mean.
    """

    count: int
    mean: Array
    scatter: Array

    @classmethod
    def of(cls, features: NDArray[np.floating]) -> Moments:
        """Moments of ``features [n, d]``."""
        x = np.asarray(features, dtype=np.float64)
        mean = x.mean(axis=0)
        return cls(len(x), mean, (x - mean).T @ (x - mean))

    def __add__(self, other: Moments) -> Moments:
        """Moments of both sets of samples together (Chan, Golub & LeVeque 1983)."""
        count, gap = self.count + other.count, other.mean - self.mean
        between = self.count * other.count / count * np.outer(gap, gap)
        mean = self.mean + other.count / count * gap
        return Moments(count, mean, self.scatter + other.scatter + between)

    def __sub__(self, part: Moments) -> Moments:
        """Moments of what is left when ``part`` is taken out."""
        count = self.count - part.count
        mean = self.mean + part.count / count * (self.mean - part.mean)
        gap = part.mean - mean
        between = count * part.count / self.count * np.outer(gap, gap)
        return Moments(count, mean, self.scatter - part.scatter - between)

    @property
    def covariance(self) -> Array:
        """Unbiased covariance ``[d, d]``."""
        return self.scatter / (self.count - 1)


def _root(covariance: Array) -> Array:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(values.clip(min=0))) @ vectors.T


def _distance(one: Moments, other: Moments, root: Array) -> float:
    """``|m1 - m2|^2 + tr(C1 + C2 - 2 (C2^1/2 C1 C2^1/2)^1/2)``, where ``root`` is ``C2^1/2``."""
    covariance = one.covariance
    shared = np.sqrt(np.linalg.eigvalsh(root @ covariance @ root).clip(min=0)).sum()
    gap = one.mean - other.mean
    return float(gap @ gap + np.trace(covariance) + np.trace(other.covariance) - 2 * shared)


@dataclass(frozen=True)
class Jackknife:
    """A distance with its errors of resampling.

    Attributes:
        estimate: distance of all samples.
        bias: jackknife estimate of its bias; ``estimate - bias`` is the corrected distance, which
            may be negative near zero.
        error: jackknife standard error.
        blocks: blocks that were left out in turn.
    """

    estimate: float
    bias: float
    error: float
    blocks: int


def frechet_jackknife(blocks: Sequence[Moments], reference: Moments) -> Jackknife:
    """Delete-block jackknife of the Frechet distance between samples and a fixed reference.

    ``bias = (g - 1) (mean of the leave-one-out distances - distance)`` and ``error^2 = (g - 1) / g
    sum of their squared deviations``. The error of the reference is not in it: it is shared by all
    that are compared with the same reference. From features ``x [n, d]``:
    ``[Moments.of(part) for part in np.array_split(x, g)]``.

    Args:
        blocks: moments of disjoint blocks of equal size, to within one sample; more blocks make the
            error less noisy, and each costs one eigenvalue problem.
        reference: moments of the reference features.

    Raises:
        ValueError: fewer than two blocks.
    """
    g = len(blocks)
    if g < 2:
        raise ValueError(f"the jackknife needs two blocks or more, not {g}")
    whole = blocks[0]
    for block in blocks[1:]:
        whole = whole + block
    root = _root(reference.covariance)
    estimate = _distance(whole, reference, root)
    left = np.array([_distance(whole - block, reference, root) for block in blocks])
    bias = (g - 1) * float(left.mean() - estimate)
    return Jackknife(estimate, bias, math.sqrt((g - 1) * float(left.var())), g)
