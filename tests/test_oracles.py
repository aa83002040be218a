"""The exact fields of a Gaussian mixture against autograd and an independent formula."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from bench.oracles import GaussianMixture
from bench.paths import PathCoefficients
from bench.streams import stream

TIMES = [1e-5, 1e-3, 0.2, 0.5, 0.9, 1 - 1e-3, 1 - 1e-5]


def mixture() -> GaussianMixture:
    roots = torch.randn(4, 3, 3, generator=stream("roots"), dtype=torch.float64) / 3
    return GaussianMixture(
        torch.tensor([0.1, 0.2, 0.3, 0.4]),
        torch.randn(4, 3, generator=stream("means"), dtype=torch.float64),
        roots @ roots.mT + 0.01 * torch.eye(3, dtype=torch.float64),
    )


def linear(t: float, count: int, dtype: torch.dtype = torch.float64) -> PathCoefficients:
    one = torch.ones(count, dtype=dtype)
    return PathCoefficients(t * one, (1 - t) * one, one, -one)


def points(oracle: GaussianMixture, t: float, count: int = 50) -> torch.Tensor:
    noise = torch.randn(count, 3, generator=stream("noise"), dtype=torch.float64)
    return t * oracle.sample(count, stream("data")) + (1 - t) * noise


def by_hand(oracle: GaussianMixture, x: np.ndarray, t: float) -> tuple[np.ndarray, np.ndarray]:
    """E[data|x] and E[noise|x] as conditional means of jointly Gaussian vectors, in a loop."""
    data, noise, total = np.zeros_like(x), np.zeros_like(x), np.zeros(len(x))
    for w, mean, cov in zip(oracle.weights, oracle.means, oracle.covariances, strict=True):
        marginal = t**2 * cov.numpy() + (1 - t) ** 2 * np.eye(3)
        density = w.item() * multivariate_normal(t * mean.numpy(), marginal).pdf(x)
        gain = np.linalg.solve(marginal, (x - t * mean.numpy()).T)
        data += density[:, None] * (mean.numpy() + (t * cov.numpy() @ gain).T)
        noise += density[:, None] * (1 - t) * gain.T
        total += density
    return data / total[:, None], noise / total[:, None]


@pytest.mark.parametrize("t", TIMES)
def test_score_is_the_gradient_of_the_log_density(t: float) -> None:
    oracle = mixture()
    x = points(oracle, t).requires_grad_()
    c = linear(t, len(x))
    (gradient,) = torch.autograd.grad(oracle.log_density_t(x, c).sum(), x)
    torch.testing.assert_close(oracle.score(x, c), gradient, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("t", TIMES)
def test_fields_equal_conditional_means_computed_component_by_component(t: float) -> None:
    oracle = mixture()
    x = points(oracle, t)
    c = linear(t, len(x))
    data, noise = by_hand(oracle, x.numpy(), t)
    np.testing.assert_allclose(oracle.posterior_mean_data(x, c), data, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(oracle.posterior_mean_noise(x, c), noise, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(oracle.velocity(x, c), data - noise, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(
        oracle.posterior_mean_noise(x, c), -(1 - t) * oracle.score(x, c), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("t", TIMES)
def test_float32_keeps_its_accuracy_at_both_ends(t: float) -> None:
    oracle = mixture()
    x = points(oracle, t).float()
    exact = oracle.velocity(x.double(), linear(t, len(x)))
    single = oracle.velocity(x, linear(t, len(x), torch.float32))
    assert single.dtype == torch.float32
    error = (single - exact).norm() / exact.norm()
    assert error < 5e-6


def test_posterior_means_average_back_to_the_point() -> None:
    oracle = mixture()
    x = points(oracle, 0.3)
    c = linear(0.3, len(x))
    recovered = 0.3 * oracle.posterior_mean_data(x, c) + 0.7 * oracle.posterior_mean_noise(x, c)
    torch.testing.assert_close(recovered, x, rtol=1e-12, atol=1e-12)


def test_log_density_is_finite_far_away_and_matches_scipy_nearby() -> None:
    oracle = mixture()
    x = oracle.sample(20, stream("near"))
    density = sum(
        w.item() * multivariate_normal(m.numpy(), s.numpy()).pdf(x.numpy())
        for w, m, s in zip(oracle.weights, oracle.means, oracle.covariances, strict=True)
    )
    np.testing.assert_allclose(oracle.log_density(x), np.log(density), rtol=1e-10)
    assert oracle.log_density(1e6 * torch.ones(1, 3)).isfinite().all()


def test_samples_have_the_moments_of_the_mixture() -> None:
    oracle = mixture()
    x = oracle.sample(200_000, stream("moments"))
    mean = oracle.weights @ oracle.means
    spread = oracle.covariances + oracle.means[:, :, None] * oracle.means[:, None, :]
    covariance = (oracle.weights[:, None, None] * spread).sum(0) - torch.outer(mean, mean)
    torch.testing.assert_close(x.mean(0), mean, rtol=0, atol=0.01)
    torch.testing.assert_close(x.T.cov(), covariance, rtol=0, atol=0.02)


def test_images_keep_their_shape() -> None:
    oracle = GaussianMixture(torch.ones(1), torch.zeros(1, 4), torch.eye(4)[None])
    x = torch.randn(5, 1, 2, 2, generator=stream("images"))
    assert oracle.velocity(x, linear(0.5, 5, torch.float32)).shape == x.shape


@pytest.mark.parametrize(
    ("weights", "covariance"),
    [([0.5, 0.6], [1.0, 1.0]), ([1.5, -0.5], [1.0, 1.0]), ([0.5, 0.5], [1.0, 0.0])],
)
def test_a_mixture_that_is_none_is_refused(weights: list[float], covariance: list[float]) -> None:
    with pytest.raises(ValueError, match="mixture"):
        GaussianMixture(
            torch.tensor(weights), torch.zeros(2, 1), torch.tensor(covariance)[:, None, None]
        )
