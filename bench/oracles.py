"""Exact densities, posterior means, velocities and scores of Gaussian mixtures.

For data of law ``sum_k w_k N(mu_k, S_k)`` and an independent standard normal noise, the point
``x = alpha*data + sigma*noise`` has the law ``sum_k w_k N(alpha*mu_k, C_k)`` with
``C_k = alpha^2 S_k + sigma^2 I``. With the responsibilities ``g_k(x)`` of that mixture and the
residuals ``r_k = x - alpha*mu_k``::

    E[data | x]  = sum_k g_k (mu_k + alpha S_k C_k^-1 r_k)
    E[noise | x] = sigma sum_k g_k C_k^-1 r_k
    velocity     = d_alpha E[data | x] + d_sigma E[noise | x]
    score        = -sum_k g_k C_k^-1 r_k

Nothing is divided by sigma or alpha, so both ends of a path are safe. The formulas hold for an
independent coupling only.

``C_k^-1`` is never formed. :class:`Axes` uses that ``C_k`` has the eigenvectors of ``S_k``: one
decomposition serves all times. It holds full covariances, and those of low rank plus a constant
variance. :class:`Factors` holds diagonal covariances, and those of low rank plus a diagonal, by
Woodbury's identity; there the eigenvectors turn with time.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, NamedTuple, Self

import torch
from torch import Tensor

from bench.paths import PathCoefficients

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
        other = copy.copy(self)
        vars(other).update({name: vars(self)[name] + variance for name in self.VARIANCES})
        return other

    def positive_definite(self) -> bool:
        """Whether no direction has a variance of zero or less."""
        return all(bool((self.tensors()[name] > 0).all()) for name in self.VARIANCES)

    def tensors(self) -> dict[str, Tensor]:
        """The arguments that make these covariances, by name."""
        return dict(vars(self))

    def map(self, change: Callable[[Tensor], Tensor]) -> Self:
        """A copy with every tensor changed."""
        other = copy.copy(self)
        vars(other).update({name: change(value) for name, value in vars(self).items()})
        return other


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
            rest = self.rest / beyond
            return average(g, self.variances / inside - rest[:, :, None], rest)

        return Conditioned(_log_normal(exponent, log_det, d), whitened, shrunk)

    def draw(self, component: Tensor, generator: torch.Generator) -> Tensor:
        """By the symmetric root, which is the same whatever the signs of the eigenvectors."""
        z = _normal(len(component), self.axes.shape[1], generator)
        scale = self.rest.sqrt()
        drawn = z * scale[component, None]
        for j, axes in enumerate(self.axes):
            mine = component == j
            drawn[mine] += z[mine] @ axes * (self.variances[j].sqrt() - scale[j]) @ axes.T
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
            mine = component == j
            drawn[mine] += z[mine] @ factors.T
        return drawn

    def dense(self) -> Tensor:
        """The matrices themselves, ``[k, d, d]``."""
        return self.factors @ self.factors.mT + torch.diag_embed(self.noise)


class GaussianMixture:
    """A mixture of Gaussians and its exact fields along a Gaussian path.

    Fields take ``x [b, ...]`` whose samples hold ``d`` numbers, on any device, and return ``x``'s
    shape and dtype (densities: ``[b]``, in nats). Inside they compute in float64 whatever the
    dtype of ``x``: a responsibility is the exponential of ``|r|^2 / variance``, which a small
    variance in 64 dimensions makes 1e6 and more, of which float32 keeps one decimal. On a CPU this
    takes at most about twice the time of float32.

    Args:
        weights: ``[k]``, positive, summing to one (to float32 precision; then made exact).
        means: ``[k, d]``.
        covariances: matrices ``[k, d, d]``, positive definite, or :class:`Covariances`; see also
            :meth:`diagonal` and :meth:`low_rank`.
        labels: class of each component, ``[k]`` int64, or None.

    Raises:
        ValueError: weights that are no probabilities, or a covariance not positive definite.
    """

    def __init__(
        self,
        weights: Tensor,
        means: Tensor,
        covariances: Tensor | Covariances,
        labels: Tensor | None = None,
    ) -> None:
        if not (weights > 0).all() or abs(weights.double().sum().item() - 1) > 1e-6:
            raise ValueError(f"weights of a mixture are positive and sum to one, not {weights}")
        if isinstance(covariances, Tensor):
            covariances = Axes.full(covariances)
        self.weights = weights.double() / weights.double().sum()
        self.means = means.double()
        self.covariances = covariances
        self.labels = labels
        if not covariances.positive_definite():
            raise ValueError("covariances of a mixture are positive definite")

    @classmethod
    def diagonal(
        cls, weights: Tensor, means: Tensor, variances: Tensor, labels: Tensor | None = None
    ) -> Self:
        """With covariances ``diag(variances_k)``, ``variances [k, d]``."""
        none = variances.new_empty(*variances.shape, 0)
        return cls(weights, means, Factors(none, variances), labels)

    @classmethod
    def low_rank(
        cls,
        weights: Tensor,
        means: Tensor,
        factors: Tensor,
        noise: Tensor,
        labels: Tensor | None = None,
    ) -> Self:
        """With covariances ``U_k U_k^T + D_k`` that are never formed.

        Args:
            weights, means, labels: as of the class.
            factors: ``U_k``, ``[k, d, r]``.
            noise: variances ``[k]`` of an isotropic, or ``[k, d]`` of a diagonal ``D_k``. Isotropic
                noise is by far the faster one.
        """
        build = Axes.low_rank if noise.dim() == 1 else Factors
        return cls(weights, means, build(factors, noise), labels)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """The mixture that :meth:`tensors` was taken of, bit by bit."""
        rest = dict(tensors)
        weights, means, labels = rest.pop("weights"), rest.pop("means"), rest.pop("labels", None)
        covariances = Axes(**rest) if "axes" in rest else Factors(**rest)
        mixture = cls(weights, means, covariances, labels)
        mixture.weights = weights  # to divide by their sum once more would change last bits
        return mixture

    def tensors(self) -> dict[str, Tensor]:
        """Everything that the mixture is made of, for a file."""
        held = {"weights": self.weights, "means": self.means, **self.covariances.tensors()}
        return held if self.labels is None else {**held, "labels": self.labels}

    def to(self, device: torch.device | str) -> Self:
        """The mixture on a device; the mixture itself where it is there already."""
        if self.means.device == torch.device(device):
            return self
        return self._map(lambda value: value.to(device))

    def restricted(self, components: Tensor) -> Self:
        """The law of the data given that it stems from some components, by index or mask."""
        other = self._map(lambda value: value[components])
        other.weights = other.weights / other.weights.sum()
        return other

    def given(self, label: int | Tensor) -> Self:
        """The law of the data given its class.

        Args:
            label: one class; or a class for each sample, ``[b]`` int64. Sample ``i`` of the points
                at which the result is asked, and of its draws, then has class ``label[i]``; it has
                no moments and cannot be restricted further.

        Raises:
            ValueError: a class of which no component is, or components without classes.
        """
        if self.labels is None:
            raise ValueError("the components of this mixture have no classes")
        wanted = torch.as_tensor(label, device=self.labels.device)
        if not torch.isin(wanted, self.labels).all():
            raise ValueError(f"no component of the mixture has class {label}")
        if wanted.dim() == 0:
            return self.restricted(self.labels == wanted)
        weights = self.weights * (self.labels == wanted[:, None])
        other = copy.copy(self)
        other.weights = weights / weights.sum(dim=1, keepdim=True)
        return other

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean ``[d]`` and covariance ``[d, d]`` of the data."""
        mean = self.weights @ self.means
        centred = self.means - mean
        between = torch.einsum("k,kd,ke->de", self.weights, centred, centred)
        return mean, torch.einsum("k,kde->de", self.weights, self.covariances.dense()) + between

    def smoothed(self, std: float) -> Self:
        """The law of the data plus normal noise of standard deviation ``std``."""
        other = copy.copy(self)
        other.covariances = self.covariances.widened(std**2)
        return other

    def overlap(self, other: GaussianMixture) -> float:
        """Integral of the product of both densities, which is the mean of one under the other.

        ``sum_jk v_j w_k N(m_j; mu_k, T_j + S_k)``; forms matrices ``[k, d, d]``.
        """
        ours, theirs = self.covariances.dense(), other.covariances.dense()
        total = 0.0
        for weight, mean, covariance in zip(self.weights, self.means, ours, strict=True):
            roots = torch.linalg.cholesky(covariance + theirs)
            gap = torch.linalg.solve_triangular(roots, (mean - other.means)[..., None], upper=False)
            log_det = 2 * roots.diagonal(dim1=1, dim2=2).log().sum(dim=1)
            logs = _log_normal(gap.square().sum(dim=(1, 2)), log_det, len(mean))
            total += (weight * other.weights * logs.exp()).sum().item()
        return total

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Independent draws, ``[count, d]`` float64."""
        return self.draw(count, generator)[0]

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Independent draws, ``[count, d]`` float64, and the component of each, ``[count]``.

        Of a mixture given one label a sample, ``count`` is the number of labels.
        """
        if self.weights.dim() == 1:
            component = torch.multinomial(self.weights, count, True, generator=generator)
        else:
            component = torch.multinomial(self.weights, 1, generator=generator).squeeze(1)
        return self.means[component] + self.covariances.draw(component, generator), component

    def log_density(self, x: Tensor) -> Tensor:
        """Log density of the data at ``x``, ``[b]``."""
        return self._log_density(x, x.new_ones(1), x.new_zeros(1))

    def log_density_t(self, x: Tensor, c: PathCoefficients) -> Tensor:
        """Log density of ``alpha*data + sigma*noise`` at ``x``, ``[b]``."""
        return self._log_density(x, c.alpha, c.sigma)

    def responsibilities(self, x: Tensor, c: PathCoefficients | None = None) -> Tensor:
        """Probability of each component given ``x``, ``[b, k]``; without ``c`` given the data."""
        alpha, sigma = (x.new_ones(1), x.new_zeros(1)) if c is None else (c.alpha, c.sigma)
        return self._at(x, alpha, sigma)[1].softmax(dim=1).to(x.dtype)

    def posterior_mean_data(self, x: Tensor, c: PathCoefficients) -> Tensor:
        """``E[data | x]``."""
        return self._posterior_means(x, c)[0].reshape(x.shape).to(x.dtype)

    def posterior_mean_noise(self, x: Tensor, c: PathCoefficients) -> Tensor:
        """``E[noise | x]``."""
        return self._posterior_means(x, c)[1].reshape(x.shape).to(x.dtype)

    def velocity(self, x: Tensor, c: PathCoefficients) -> Tensor:
        """``E[d_alpha*data + d_sigma*noise | x]``, the velocity of the probability flow."""
        data, noise = self._posterior_means(x, c)
        velocity = _column(c.d_alpha, data) * data + _column(c.d_sigma, noise) * noise
        return velocity.reshape(x.shape).to(x.dtype)

    def score(self, x: Tensor, c: PathCoefficients) -> Tensor:
        """Gradient of :meth:`log_density_t` in ``x``."""
        seen, log_joint = self._at(x, c.alpha, c.sigma)
        return -seen.whitened(log_joint.softmax(dim=1)).reshape(x.shape).to(x.dtype)

    def _log_density(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        return self._at(x, alpha, sigma)[1].logsumexp(dim=1).to(x.dtype)

    def _posterior_means(self, x: Tensor, c: PathCoefficients) -> tuple[Tensor, Tensor]:
        """Of data and noise, ``[b, d]`` float64."""
        seen, log_joint = self._at(x, c.alpha, c.sigma)
        g = log_joint.softmax(dim=1)
        mean = g @ self.means.to(g) + _column(c.alpha, g) * seen.shrunk(g)
        return mean, _column(c.sigma, g) * seen.whitened(g)

    def _at(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> tuple[Conditioned, Tensor]:
        """What the components see at ``x``, and the logs of weight times density, ``[b, k]``."""
        here, points = self.to(x.device), x.flatten(1).double()
        seen = here.covariances.conditioned(
            points, here.means, _column(alpha, points), _column(sigma, points)
        )
        return seen, here.weights.log() + seen.log_density

    def _map(self, change: Callable[[Tensor], Tensor]) -> Self:
        other = copy.copy(self)
        other.weights, other.means = change(self.weights), change(self.means)
        other.covariances = self.covariances.map(change)
        other.labels = None if self.labels is None else change(self.labels)
        return other


def _column(values: Tensor, like: Tensor) -> Tensor:
    """Coefficients ``[b]`` or ``[1]`` as a column beside ``like``."""
    return values.to(like).reshape(-1, 1)


def _residuals(x: Tensor, means: Tensor, alpha: Tensor) -> Tensor:
    """``x - alpha*mu_k``, ``[b, k, d]``, in one pass over memory."""
    return torch.addcmul(x[:, None, :], alpha[:, :, None], means, value=-1)


def _normal(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    return torch.randn(rows, columns, generator=generator, dtype=torch.float64)


def _log_normal(exponent: Tensor, log_det: Tensor, dimension: int) -> Tensor:
    return -(exponent + log_det + dimension * math.log(2 * math.pi)) / 2
