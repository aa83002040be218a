"""Exact densities, posterior means, velocities and scores of Gaussian mixtures.

For data of law ``sum_k w_k N(mu_k, S_k)`` and an independent standard normal noise, the point
``x = alpha*data + sigma*noise`` has the law ``sum_k w_k N(alpha*mu_k, C_k)`` with
``C_k = alpha^2 S_k + sigma^2 I``. With the responsibilities ``g_k(x)`` of that mixture and the
residuals ``r_k = x - alpha*mu_k``::

    E[data | x]  = sum_k g_k (mu_k + alpha S_k C_k^-1 r_k)
    E[noise | x] = sigma sum_k g_k C_k^-1 r_k
    velocity     = d_alpha E[data | x] + d_sigma E[noise | x]
    score        = -sum_k g_k C_k^-1 r_k

Every ``C_k`` shares its eigenvectors with ``S_k``, so one eigendecomposition serves all times, and
nothing is divided by sigma or alpha: float32 stays accurate at both ends. The formulas hold for an
independent coupling only.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bench.paths import PathCoefficients


class GaussianMixture:
    """A mixture of Gaussians and its exact fields along a Gaussian path.

    Fields take ``x [b, ...]`` whose samples hold ``d`` numbers, compute in the dtype and on the
    device of ``x``, and return ``x``'s shape (densities: ``[b]``, in nats).

    Args:
        weights: ``[k]``, positive, summing to one (to float32 precision; then made exact).
        means: ``[k, d]``.
        covariances: ``[k, d, d]``, positive definite.

    Raises:
        ValueError: weights that are no probabilities, or a covariance not positive definite.
    """

    def __init__(self, weights: Tensor, means: Tensor, covariances: Tensor) -> None:
        self.weights = weights.double() / weights.double().sum()
        self.means = means.double()
        self.covariances = covariances.double()
        if not (weights > 0).all() or abs(weights.sum().item() - 1) > 1e-6:
            raise ValueError(f"weights of a mixture are positive and sum to one, not {weights}")
        self._variances, self._axes = torch.linalg.eigh(self.covariances)
        if not (self._variances > 0).all():
            raise ValueError("covariances of a mixture are positive definite")

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Independent draws, ``[count, d]`` float64."""
        component = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        z = torch.randn(count, self.means.shape[1], generator=generator, dtype=torch.float64)
        roots = self._axes * self._variances.sqrt()[:, None, :]
        return self.means[component] + (roots[component] @ z[:, :, None]).squeeze(-1)

    def log_density(self, x: Tensor) -> Tensor:
        """Log density of the data at ``x``, ``[b]``."""
        one, zero = x.new_ones(len(x)), x.new_zeros(len(x))
        return self.log_density_t(x, PathCoefficients(one, zero, zero, zero))

    def log_density_t(self, x: Tensor, c: PathCoefficients) -> Tensor:
        """Log density of ``alpha*data + sigma*noise`` at ``x``, ``[b]``."""
        residuals, variances = self._rotated(x, c)
        return self._log_joint(residuals, variances).logsumexp(dim=1)

    def posterior_mean_data(self, x: Tensor, c: PathCoefficients) -> Tensor:
        """``E[data | x]``."""
        return self._posterior_means(x, c)[0]

    def posterior_mean_noise(self, x: Tensor, c: PathCoefficients) -> Tensor:
        """``E[noise | x]``."""
        return self._posterior_means(x, c)[1]

    def velocity(self, x: Tensor, c: PathCoefficients) -> Tensor:
        """``E[d_alpha*data + d_sigma*noise | x]``, the velocity of the probability flow."""
        data, noise = self._posterior_means(x, c)
        shape = (-1, *(1,) * (x.dim() - 1))
        return c.d_alpha.to(x).reshape(shape) * data + c.d_sigma.to(x).reshape(shape) * noise

    def score(self, x: Tensor, c: PathCoefficients) -> Tensor:
        """Gradient of :meth:`log_density_t` in ``x``."""
        residuals, variances = self._rotated(x, c)
        weights = self._log_joint(residuals, variances).softmax(dim=1)
        return -self._mean_over_components(weights, residuals / variances).reshape(x.shape)

    def _rotated(self, x: Tensor, c: PathCoefficients) -> tuple[Tensor, Tensor]:
        """Residuals and variances of each component in its own axes, both ``[b, k, d]``."""
        alpha, sigma = (v.to(x).reshape(-1, 1, 1) for v in (c.alpha, c.sigma))
        residuals = x.flatten(1)[:, None, :] - alpha * self.means.to(x)
        rotated = torch.einsum("bkd,kde->bke", residuals, self._axes.to(x))
        return rotated, alpha**2 * self._variances.to(x) + sigma**2

    def _log_joint(self, residuals: Tensor, variances: Tensor) -> Tensor:
        """Log of weight times density of each component, ``[b, k]``."""
        exponents = (residuals**2 / variances + variances.log() + math.log(2 * math.pi)).sum(dim=2)
        return self.weights.log().to(residuals) - exponents / 2

    def _posterior_means(self, x: Tensor, c: PathCoefficients) -> tuple[Tensor, Tensor]:
        residuals, variances = self._rotated(x, c)
        weights = self._log_joint(residuals, variances).softmax(dim=1)
        alpha, sigma = c.alpha.to(x).reshape(-1, 1), c.sigma.to(x).reshape(-1, 1)
        shrunk = self._variances.to(x) * residuals / variances
        data = weights @ self.means.to(x) + alpha * self._mean_over_components(weights, shrunk)
        noise = sigma * self._mean_over_components(weights, residuals / variances)
        return data.reshape(x.shape), noise.reshape(x.shape)

    def _mean_over_components(self, weights: Tensor, rotated: Tensor) -> Tensor:
        """Rotate back and average over the components: ``[b, k, d] -> [b, d]``."""
        return torch.einsum("bk,bke,kde->bd", weights, rotated, self._axes.to(rotated))
