"""What an exact law says of samples: deviations from its modes, its entropy, its kernel means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import torch
from torch import Tensor

from bench.streams import stream

if TYPE_CHECKING:
    from bench.data.mixture import GaussianMixture
    from bench.metrics.context import Context

ROWS: Final = 512
"""Rows of a kernel matrix that are held at a time: no memory grows with the square of samples."""

DRAWS: Final = 50_000
"""Draws of the law over which what has no closed form is a mean, from one keyed stream."""


class Located(NamedTuple):
    """Where points lie among the modes of a law.

    Attributes:
        log_density: ``log p(x)``, ``[n]``, in nats.
        shares: responsibilities, the probability of each mode given x, ``[n, k]``.
        squared: ``(x - mu_k)^T S_k^-1 (x - mu_k)`` for every mode, Mahalanobis's distance squared,
            ``[n, k]``; within a mode it follows a chi-square law of d degrees.
    """

    log_density: Tensor
    shares: Tensor
    squared: Tensor


def located(law: GaussianMixture, x: Tensor) -> Located:
    """Of points ``x [n, d]`` float64; one pass serves all that is asked of the law."""
    logs = _log_densities(law, x)
    joint = logs + law.weights.log()
    squared = (2 * (log_peaks(law) - logs)).clamp(min=0)
    return Located(joint.logsumexp(dim=1), joint.softmax(dim=1), squared)


def places(context: Context) -> Located:
    """Where the samples of a cell lie; computed once for all metrics that ask."""
    law = law_of(context)
    return context.derived("located", lambda: located(law, context.samples.flatten(1).double()))


def places_in_blocks(context: Context) -> list[Located]:
    """The same of every block, whose samples are rounded to the levels of the data."""
    size, law = context.settings.block, law_of(context)
    if context.references.levels is not None:
        return [located(law, block.flatten(1).double()) for block in context.blocks]
    whole = places(context)
    starts = range(0, len(context.blocks) * size, size)
    return [Located(*(part[start : start + size] for part in whole)) for start in starts]


def law_of(context: Context) -> GaussianMixture:
    """The exact law of the data that a metric which needs one is given."""
    law = context.references.dataset.mixture
    assert law is not None, f"{context.references.dataset.name} has no exact law"
    return law


def log_peaks(law: GaussianMixture) -> Tensor:
    """Log density of every mode at its own mean, ``-1/2 log det(2 pi S_k)``, ``[k]``."""
    return _log_densities(law, law.means).diagonal()


def _log_densities(law: GaussianMixture, x: Tensor) -> Tensor:
    """Log density of every mode, without its weight, ``[n, k]``."""
    alpha, sigma = x.new_ones(1, 1), x.new_zeros(1, 1)
    return law.covariances.conditioned(x, law.means, alpha, sigma).log_density


def entropy(law: GaussianMixture) -> float:
    """Entropy of the law, ``-E log p(x)``, in nats.

    With the mode k that a point stems from, ``H(x) = H(k) + H(x | k) - H(k | x)``: the first two
    are exact, and only the last, which modes that lie apart make small, is a mean over
    :data:`DRAWS` draws.
    """
    dimension = law.means.shape[1]
    of_modes = -(law.weights * law.weights.log()).sum()
    within = dimension / 2 - law.weights @ log_peaks(law)
    shares = law.responsibilities(law.sample(DRAWS, stream("entropy")))
    unknown = -(shares * shares.clamp(min=1e-300).log()).sum(dim=1).mean()
    return (of_modes + within - unknown).item()


def mode_width(law: GaussianMixture) -> float:
    """``sqrt(E|y - mu|^2 / 2)`` of data y of a mode of mean mu; in the plane the deviation."""
    traces = torch.stack([covariance.trace() for covariance in law.covariances.dense()])
    return math.sqrt((law.weights @ traces).item() / 2)


def kernel_mean(law: GaussianMixture, width: float) -> float:
    """Mean of ``exp(-|y - y'|^2 / (2 h^2))`` over pairs of independent data, ``width`` h.

    ``sum_jk w_j w_k |I + C_jk / h^2|^(-1/2) exp(-m_jk^T (h^2 I + C_jk)^-1 m_jk / 2)`` with
    ``C_jk = S_j + S_k`` and ``m_jk = mu_j - mu_k``; taken in logs, so that any dimension will do.
    """
    covariances, total = law.covariances.dense(), 0.0
    unit = torch.eye(law.means.shape[1], dtype=covariances.dtype)
    for weight, mean, covariance in zip(law.weights, law.means, covariances, strict=True):
        roots = torch.linalg.cholesky(unit + (covariance + covariances) / width**2)
        gaps = ((mean - law.means) / width)[..., None]
        squared = torch.linalg.solve_triangular(roots, gaps, upper=False).square().sum(dim=(1, 2))
        log_roots = roots.diagonal(dim1=1, dim2=2).log().sum(dim=1)
        total += (weight * law.weights * (-squared / 2 - log_roots).exp()).sum().item()
    return total


class KernelMeans:
    """Mean over widths h of the kernels ``exp(-|x - y|^2 / (2 h^2))``, between samples and a law.

    The mean under a Gaussian mixture has a closed form: a kernel is a normal density but for its
    scale, so that its mean at x is the density of the law with noise of deviation h.

    Args:
        law: the law.
        widths: in model units.
    """

    def __init__(self, law: GaussianMixture, widths: Sequence[float]) -> None:
        dimension = law.means.shape[1]
        self.widths = tuple(widths)
        self.smoothed = [law.smoothed(width) for width in widths]
        self.log_scales = [dimension / 2 * math.log(2 * math.pi * w**2) for w in widths]
        self.between_data = math.fsum(kernel_mean(law, w) for w in widths) / len(widths)

    def across(self, x: Tensor) -> Tensor:
        """Mean kernel between each of ``x [n, d]`` and the law, ``[n]``."""
        kernels = [
            (wide.log_density(x) + scale).exp()
            for scale, wide in zip(self.log_scales, self.smoothed, strict=True)
        ]
        return torch.stack(kernels).mean(dim=0)

    def within(self, x: Tensor) -> Tensor:
        """Sums of kernels between each of ``x [n, d]`` and those up to it, ``[n]``.

        A pair stands once, with the later sample, and each sample with itself: the sum of the first
        m numbers is that of the first m samples. Computed in parts of :data:`ROWS` rows.
        """
        halves, sums = x.square().sum(dim=1) / 2, x.new_zeros(len(x))
        for first in range(0, len(x), ROWS):
            rows, seen = slice(first, first + ROWS), slice(0, first + ROWS)
            gaps = torch.addmm(halves[seen][None], x[rows], x[seen].T, alpha=-1)
            gaps = gaps.add_(halves[rows][:, None]).clamp_(min=0)
            kernels = [(gaps / -(width**2)).exp_() for width in self.widths]
            sums[rows] = torch.stack(kernels).mean(dim=0).tril_(first).sum(dim=1)
        return sums

    def squared(self, x: Tensor) -> float:
        """Squared maximum mean discrepancy of ``x [n, d]``, each pair of a sample with itself in.

        ``mean k(x, x') - 2 mean k(x, y) + E k(y, y')``, never negative but by rounding.
        """
        return self.squares(x, [len(x)])[0]

    def squares(self, x: Tensor, counts: Sequence[int]) -> list[float]:
        """The same of the first samples of ``x [n, d]``, for several numbers of them at once."""
        within, across = self.within(x).cumsum(0), self.across(x).cumsum(0)
        return [
            (2 * within[m - 1].item() - m) / m**2 - 2 * across[m - 1].item() / m + self.between_data
            for m in counts
        ]
