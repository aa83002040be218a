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
from collections.abc import Callable, Mapping
from typing import Self

import torch
from torch import Tensor

from bench.data.covariances import Axes, Conditioned, Covariances, Factors, _log_normal
from bench.tensors import PathCoefficients


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
        parts = dict(tensors)
        weights, means, labels = parts.pop("weights"), parts.pop("means"), parts.pop("labels", None)
        covariances = Axes(**parts) if "axes" in parts else Factors(**parts)
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
        mixture = self._map(lambda value: value[components])
        mixture.weights = mixture.weights / mixture.weights.sum()
        return mixture

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
        mixture = copy.copy(self)
        mixture.weights = weights / weights.sum(dim=1, keepdim=True)
        return mixture

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean ``[d]`` and covariance ``[d, d]`` of the data."""
        mean = self.weights @ self.means
        centred = self.means - mean
        between = torch.einsum("k,kd,ke->de", self.weights, centred, centred)
        return mean, torch.einsum("k,kde->de", self.weights, self.covariances.dense()) + between

    def smoothed(self, std: float) -> Self:
        """The law of the data plus normal noise of standard deviation ``std``."""
        mixture = copy.copy(self)
        mixture.covariances = self.covariances.widened(std**2)
        return mixture

    def overlap(self, other: GaussianMixture) -> float:
        """Integral of the product of both densities, which is the mean of one under the other.

        ``sum_jk v_j w_k N(m_j; mu_k, T_j + S_k)``; forms matrices ``[k, d, d]``.
        """
        own_covariances, other_covariances = self.covariances.dense(), other.covariances.dense()
        total = 0.0
        for weight, mean, covariance in zip(self.weights, self.means, own_covariances, strict=True):
            roots = torch.linalg.cholesky(covariance + other_covariances)
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
        mixture = copy.copy(self)
        mixture.weights, mixture.means = change(self.weights), change(self.means)
        mixture.covariances = self.covariances.map(change)
        mixture.labels = None if self.labels is None else change(self.labels)
        return mixture


def _column(values: Tensor, like: Tensor) -> Tensor:
    """Coefficients ``[b]`` or ``[1]`` as a column beside ``like``."""
    return values.to(like).reshape(-1, 1)
