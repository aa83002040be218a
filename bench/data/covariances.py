"""Covariances of a Gaussian mixture, in the form that makes its sums cheap."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, NamedTuple, Self

import torch
from torch import Tensor

Average = Callable[[Tensor], Tensor]


class Conditioned(NamedTuple):
    """``b`` points as the ``k`` Gaussians ``N(alpha*mu_k, C_k)`` see them.

    Attributes:
        log_density: ``[b, k]``, each Gaussian's own.
        whitened: ``g [b, k] -> sum_k g_k C_k^-1 r_k [b, d]``.
        shrunk: ``g [b, k] -> sum_k g_k S_k C_k^-1 r_k [b, d]``.
    """

    log_density: Tensor
    whitened: Average
    shrunk: Average


class Covariances(ABC):
    """Covariances ``S_k`` of ``k`` Gaussians; every tensor of it is float64 and leads with ``k``.

    Attributes:
        VARIANCES: names of those tensors that hold variances.
    """

    VARIANCES: ClassVar[tuple[str, ...]]

    @abstractmethod
    def conditioned(self, x: Tensor, means: Tensor, alpha: Tensor, sigma: Tensor) -> Conditioned:
        """What the fields need at ``x [b, d]``; ``means [k, d]``, ``alpha, sigma [b or 1, 1]``."""

    @abstractmethod
    def draw(self, component: Tensor, generator: torch.Generator) -> Tensor:
        """Centred normal vectors ``[n, d]``, each with the covariance of its component ``[n]``."""

    @abstractmethod
    def dense(self) -> Tensor:
        """The matrices themselves, ``[k, d, d]``."""

    def widened(self, variance: float) -> Self:
        """``S_k + variance*I``."""
        covariances = copy.copy(self)
        vars(covariances).update({name: vars(self)[name] + variance for name in self.VARIANCES})
        return covariances

    def positive_definite(self) -> bool:
        """Whether no direction has a variance of zero or less."""
        return all(bool((self.tensors()[name] > 0).all()) for name in self.VARIANCES)

    def tensors(self) -> dict[str, Tensor]:
        """The arguments that make these covariances, by name."""
        return dict(vars(self))

    def map(self, change: Callable[[Tensor], Tensor]) -> Self:
        """A copy with every tensor changed."""
        covariances = copy.copy(self)
        vars(covariances).update({name: change(value) for name, value in vars(self).items()})
        return covariances


class Axes(Covariances):
    """``S_k = Q_k diag(v_k) Q_k^T + rest_k (I - Q_k Q_k^T)``.

    Args:
        axes: ``Q_k``, ``[k, d, m]`` with orthonormal columns.
        variances: ``v_k`` along them, ``[k, m]``.
        rest: variance in every direction beyond them, ``[k]``; of no effect where ``m = d``.
    """

    VARIANCES = ("variances", "rest")

    def __init__(self, axes: Tensor, variances: Tensor, rest: Tensor) -> None:
        self.axes, self.variances, self.rest = axes, variances, rest

    @classmethod
    def full(cls, covariances: Tensor) -> Axes:
        """From matrices ``[k, d, d]``."""
        variances, axes = torch.linalg.eigh(covariances.double())
        return cls(axes, variances, variances.amax(dim=1))

    @classmethod
    def low_rank(cls, factors: Tensor, noise: Tensor) -> Axes:
        """``U_k U_k^T + noise_k I`` from factors ``[k, d, r]`` and noise variances ``[k]``."""
        axes, scales, _ = torch.linalg.svd(factors.double(), full_matrices=False)
        noise = noise.double()
        return cls(axes, scales**2 + noise[:, None], noise)

    def conditioned(self, x: Tensor, means: Tensor, alpha: Tensor, sigma: Tensor) -> Conditioned:
        """In the axes of each component, and one number for all that lies beyond them."""
        k, d, m = self.axes.shape
        flat = self.axes.transpose(0, 1).reshape(d, k * m)
        shift = (means[:, None, :] @ self.axes).squeeze(1)
        along = (x @ flat).unflatten(1, (k, m)) - alpha[:, :, None] * shift
        # Not by expanding the square, which cancels where the means are far from the origin.
        squared = torch.linalg.vector_norm(_residuals(x, means, alpha), dim=2).square()
        inside = (alpha**2)[:, :, None] * self.variances + (sigma**2)[:, :, None]
        beyond = alpha**2 * self.rest + sigma**2
        excess = 1 / inside - 1 / beyond[:, :, None]
        exponent = squared / beyond + (along.square() * excess).sum(dim=2)
        log_det = inside.log().sum(dim=2) + (d - m) * beyond.log()

        def average(g: Tensor, along_factor: Tensor, factor: Tensor) -> Tensor:
            """``sum_k g_k (factor_k r_k + Q_k along_factor_k Q_k^T r_k)``."""
            scaled = g * factor
            turned = (g[:, :, None] * along_factor * along).flatten(1) @ flat.T
            return x * scaled.sum(dim=1, keepdim=True) - alpha * (scaled @ means) + turned

        def whitened(g: Tensor) -> Tensor:
            return average(g, excess, 1 / beyond)

        def shrunk(g: Tensor) -> Tensor:
            factor = self.rest / beyond
            return average(g, self.variances / inside - factor[:, :, None], factor)

        return Conditioned(_log_normal(exponent, log_det, d), whitened, shrunk)

    def draw(self, component: Tensor, generator: torch.Generator) -> Tensor:
        """By the symmetric root, which is the same whatever the signs of the eigenvectors."""
        z = _normal(len(component), self.axes.shape[1], generator)
        scale = self.rest.sqrt()
        drawn = z * scale[component, None]
        for j, axes in enumerate(self.axes):
            members = component == j
            drawn[members] += z[members] @ axes * (self.variances[j].sqrt() - scale[j]) @ axes.T
        return drawn

    def dense(self) -> Tensor:
        """The matrices themselves, ``[k, d, d]``."""
        inside = (self.axes * (self.variances - self.rest[:, None])[:, None, :]) @ self.axes.mT
        return inside + torch.diag_embed(self.rest[:, None].expand(-1, self.axes.shape[1]))


class Factors(Covariances):
    """``S_k = U_k U_k^T + diag(noise_k)``.

    Args:
        factors: ``U_k``, ``[k, d, r]``; ``r = 0`` leaves a diagonal covariance.
        noise: variances, ``[k, d]``.
    """

    VARIANCES = ("noise",)

    def __init__(self, factors: Tensor, noise: Tensor) -> None:
        self.factors, self.noise = factors.double(), noise.double()

    def conditioned(self, x: Tensor, means: Tensor, alpha: Tensor, sigma: Tensor) -> Conditioned:
        """By Woodbury's identity on ``alpha^2 U_k U_k^T + M_k`` with the diagonal matrix ``M_k``.

        ``C^-1 r = M^-1 (r - alpha U K^-1 alpha U^T M^-1 r)`` with ``K = I + alpha^2 U^T M^-1 U``,
        whose eigenvalues are at least one, and ``det C = det M det K``.
        """
        rank = self.factors.shape[2]
        residual = _residuals(x, means, alpha)
        alpha, sigma = alpha[:, :, None], sigma[:, :, None]
        diagonal = alpha**2 * self.noise + sigma**2
        whitened = residual / diagonal
        log_det = diagonal.log().sum(dim=2)
        if rank:
            outer = self.factors[:, :, :, None] * self.factors[:, :, None, :]
            inner = torch.einsum("bkd,kdrs->bkrs", 1 / diagonal, outer)
            root = torch.linalg.cholesky(torch.eye(rank).to(x) + (alpha**2)[..., None] * inner)
            log_det = log_det + 2 * root.diagonal(dim1=2, dim2=3).log().sum(dim=2)
            along = alpha * torch.einsum("bkd,kdr->bkr", whitened, self.factors)
            solved = torch.cholesky_solve(along[..., None], root).squeeze(-1)
            explained = alpha * torch.einsum("bkr,kdr->bkd", solved, self.factors)
            whitened = (residual - explained) / diagonal

        def shrunk(g: Tensor) -> Tensor:
            weighted = g[:, :, None] * whitened
            inside = torch.einsum("bkd,kdr->bkr", weighted, self.factors)
            turned = torch.einsum("bkr,kdr->bd", inside, self.factors)
            return (weighted * self.noise).sum(dim=1) + turned

        return Conditioned(
            _log_normal((residual * whitened).sum(dim=2), log_det, x.shape[1]),
            lambda g: torch.einsum("bk,bkd->bd", g, whitened),
            shrunk,
        )

    def draw(self, component: Tensor, generator: torch.Generator) -> Tensor:
        """Factors times normal numbers, plus normal numbers of the noise's variances."""
        _, d, rank = self.factors.shape
        drawn = _normal(len(component), d, generator) * self.noise.sqrt()[component]
        z = _normal(len(component), rank, generator)
        for j, factors in enumerate(self.factors):
            members = component == j
            drawn[members] += z[members] @ factors.T
        return drawn

    def dense(self) -> Tensor:
        """The matrices themselves, ``[k, d, d]``."""
        return self.factors @ self.factors.mT + torch.diag_embed(self.noise)


def _residuals(x: Tensor, means: Tensor, alpha: Tensor) -> Tensor:
    """``x - alpha*mu_k``, ``[b, k, d]``, in one pass over memory."""
    return torch.addcmul(x[:, None, :], alpha[:, :, None], means, value=-1)


def _normal(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    return torch.randn(rows, columns, generator=generator, dtype=torch.float64)


def _log_normal(exponent: Tensor, log_det: Tensor, dimension: int) -> Tensor:
    return -(exponent + log_det + dimension * math.log(2 * math.pi)) / 2
