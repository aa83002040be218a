"""Gaussian fits to features: their moments, and the Frechet distance between two of them.

Between fits of means ``m, n`` and covariances ``S, T`` the squared distance (Heusel et al., 2017,
1706.08500) is ``|m - n|^2 + tr(S + T - 2 (S T)^(1/2))``. ``(S T)^(1/2)`` has the trace of
``(T^(1/2) S T^(1/2))^(1/2)``, which is symmetric; :func:`distance` and :func:`distances` take that
of many fits to one reference, whose root is taken once. Values that are held beside published ones
are torch-fidelity's (:func:`bench.metrics.measures.frechet.distance`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = TypeVar("Array", NDArray[np.float64], Tensor)


@dataclass(frozen=True)
class Moments(Generic[Array]):
    """Sufficient statistics of a Gaussian fit, in float64; of NumPy's arrays or of torch's.

    Attributes:
        count: samples.
        mean: ``[d]``.
        scatter: ``[d, d]``, sum of outer products of the deviations from the mean.
    """

    count: int
    mean: Array
    scatter: Array

    def __add__(self, other: Moments[Array]) -> Moments[Array]:
        """Moments of both sets of samples together (Chan, Golub & LeVeque, 1983)."""
        count, gap = self.count + other.count, other.mean - self.mean
        between = self.count * other.count / count * (gap[:, None] * gap)
        mean = self.mean + other.count / count * gap
        return Moments(count, mean, self.scatter + other.scatter + between)

    def __sub__(self, part: Moments[Array]) -> Moments[Array]:
        """Moments of what is left when ``part`` is taken out."""
        count = self.count - part.count
        mean = self.mean + part.count / count * (self.mean - part.mean)
        gap = part.mean - mean
        between = count * part.count / self.count * (gap[:, None] * gap)
        return Moments(count, mean, self.scatter - part.scatter - between)

    @property
    def covariance(self) -> Array:
        """Unbiased covariance ``[d, d]``."""
        return self.scatter / (self.count - 1)

    @property
    def singular(self) -> str | None:
        """Why the covariance cannot have full rank, or None."""
        d = len(self.mean)
        if self.count > d:
            return None
        return f"{self.count} features in {d} dimensions have a singular covariance"


def moments(features: Tensor) -> Moments[Tensor]:
    """Of features ``[n, d]``, by torch."""
    return _fit(features.double())


def numpy_moments(features: NDArray[np.floating]) -> Moments[NDArray[np.float64]]:
    """Of features ``[n, d]``, by NumPy, whose sums are rounded in another order."""
    return _fit(np.asarray(features, dtype=np.float64))


def _fit(x: Array) -> Moments[Array]:
    mean = x.mean(0)
    # Twice, not once by a name: NumPy rounds the product of an array with itself another way.
    return Moments(len(x), mean, (x - mean).T @ (x - mean))


def root(covariance: Array) -> Array:
    """Symmetric square root ``[d, d]`` of a covariance; what rounding left below 0 is 0."""
    linalg: Any = torch.linalg if isinstance(covariance, Tensor) else np.linalg
    variances, axes = linalg.eigh(covariance)
    whole: Array = (axes * variances.clip(min=0) ** 0.5) @ axes.T
    return whole


def distance(
    fit: Moments[NDArray[np.float64]],
    reference: Moments[NDArray[np.float64]],
    reference_root: NDArray[np.float64],
) -> float:
    """Squared Frechet distance to a reference, whose covariance has the given :func:`root`."""
    covariance = fit.covariance
    seen = reference_root @ covariance @ reference_root
    shared = np.sqrt(np.linalg.eigvalsh(seen).clip(min=0)).sum()
    gap = fit.mean - reference.mean
    return float(gap @ gap + np.trace(covariance) + np.trace(reference.covariance) - 2 * shared)


def distances(sets: Tensor, reference: Moments[Tensor]) -> Tensor:
    """Squared Frechet distances ``[k]`` of sets ``[k, n, d]``, float64, to one reference."""
    reference_root = root(reference.covariance)
    means = sets.mean(dim=1)
    centred = sets - means[:, None]
    covariances = centred.mT @ centred / (sets.shape[1] - 1)
    seen = reference_root @ covariances @ reference_root
    shared = torch.linalg.eigvalsh(seen).clamp(min=0).sqrt().sum(dim=1)
    traces = covariances.diagonal(dim1=1, dim2=2).sum(dim=1) + reference.covariance.trace()
    return (means - reference.mean).square().sum(dim=1) + traces - 2 * shared
