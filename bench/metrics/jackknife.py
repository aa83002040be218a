"""Bias and standard error of a Frechet distance from the samples at hand: the jackknife.

A Frechet distance (Heusel et al., 2017, 1706.08500) between Gaussian fits to finite samples is
biased upwards, by c / n to first order. A bootstrap sample repeats samples, which shrinks its
covariance and adds the same bias once more: its replicates are centred too high, and a percentile
interval may miss the distance altogether. The delete-block jackknife (Quenouille 1956; Shao & Wu,
Ann. Statist. 17, 1989) leaves out one of g blocks at a time and repeats nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.metrics.gaussian_fits import Moments, distance, root

Fit = Moments[NDArray[np.float64]]


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


def frechet_jackknife(blocks: Sequence[Fit], reference: Fit) -> Jackknife:
    """Delete-block jackknife of the Frechet distance between samples and a fixed reference.

    ``bias = (g - 1) (mean of the leave-one-out distances - distance)`` and
    ``error^2 = (g - 1) / g sum of their squared deviations``. The error of the reference is not in
    it: it is shared by all that are compared with the same reference. From features ``x [n, d]``:
    ``[numpy_moments(part) for part in np.array_split(x, g)]``.

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
    reference_root = root(reference.covariance)
    estimate = distance(whole, reference, reference_root)
    left = np.array([distance(whole - block, reference, reference_root) for block in blocks])
    bias = (g - 1) * float(left.mean() - estimate)
    return Jackknife(estimate, bias, math.sqrt((g - 1) * float(left.var())), g)
