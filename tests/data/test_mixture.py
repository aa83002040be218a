"""The exact fields of Gaussian mixtures against autograd and an independent implementation."""

from __future__ import annotations

import itertools
import math

import mpmath
import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from torch import Tensor

from bench.data.mixture import GaussianMixture
from bench.models.paths import PathCoefficients
from bench.models.paths.edm import Edm
from bench.models.paths.linear import Linear
from bench.models.paths.vp import Vp
from bench.streams import stream

TIMES = [1e-5, 1e-3, 0.2, 0.5, 0.9, 1 - 1e-3, 1 - 1e-5]
PATHS = {"linear": Linear(), "vp": Vp(), "edm": Edm()}
KINDS = ["full", "diagonal", "low rank", "low rank and diagonal"]
CASES = list(itertools.product(KINDS, [1, 2, 7, 64], PATHS))
COMPONENTS = 5


def normal(*shape: int, key: object) -> Tensor:
    return torch.randn(*shape, generator=stream("oracles", str(key)), dtype=torch.float64)


def uniform(*shape: int, key: object) -> Tensor:
    return torch.rand(*shape, generator=stream("oracles", str(key)), dtype=torch.float64)


def mixture(kind: str = "full", d: int = 3) -> tuple[GaussianMixture, Tensor]:
    """A mixture and its covariances ``[k, d, d]``.

    Variances are spread over 1e-3..1, one component is far away, and one weighs next to nothing.
    """
    key = (kind, d)
    weights = uniform(COMPONENTS, key=(key, "weights")) + 0.2
    weights[1] = 1e-9
    weights /= weights.sum()
    means = normal(COMPONENTS, d, key=(key, "means"))
    means[2] *= 30
    variances = 10 ** (-3 * uniform(COMPONENTS, d, key=(key, "variances")))
    labels = torch.tensor([0, 0, 1, 1, 2])
    if kind == "diagonal":
        law = GaussianMixture.diagonal(weights, means, variances, labels)
        return law, torch.diag_embed(variances)
    if kind == "full":
        axes, _ = torch.linalg.qr(normal(COMPONENTS, d, d, key=(key, "axes")))
        covariances = axes @ torch.diag_embed(variances) @ axes.mT
        return GaussianMixture(weights, means, covariances, labels), covariances
    factors = normal(COMPONENTS, d, max(1, d // 4), key=(key, "factors")) / 2
    noise = variances[:, 0] if kind == "low rank" else variances
    law = GaussianMixture.low_rank(weights, means, factors, noise, labels)
    diagonal = noise[:, None].expand(-1, d) if noise.dim() == 1 else noise
    return law, factors @ factors.mT + torch.diag_embed(diagonal)


def points(law: GaussianMixture, c: PathCoefficients, count: int = 24) -> Tensor:
    """Draws of the law at the times of ``c``; the last four of them far outside of it."""
    noise = normal(count, law.means.shape[1], key="noise")
    x = c.alpha[:, None] * law.sample(count, stream("data")) + c.sigma[:, None] * noise
    x[-4:] += 100 * noise[-4:]
    return x


def coefficients(path: str, t: float, dtype: torch.dtype = torch.float64) -> PathCoefficients:
    return PATHS[path].coefficients(torch.full((24,), t, dtype=dtype))


def by_hand(
    law: GaussianMixture, covariances: Tensor, x: Tensor, c: PathCoefficients
) -> dict[str, np.ndarray]:
    """All fields in numpy, sample by sample and component by component, by dense solves."""
    k, d = law.means.shape
    columns = [v.double().numpy() for v in (c.alpha, c.sigma, c.d_alpha, c.d_sigma)]
    found: dict[str, list[np.ndarray]] = {
        name: [] for name in ("data", "noise", "velocity", "score", "log_density")
    }
    for point, alpha, sigma, d_alpha, d_sigma in zip(x.double().numpy(), *columns, strict=True):
        logs, data, whitened = np.empty(k), np.empty((k, d)), np.empty((k, d))
        for j in range(k):
            mean, covariance = law.means[j].numpy(), covariances[j].numpy()
            marginal = alpha**2 * covariance + sigma**2 * np.eye(d)
            whitened[j] = np.linalg.solve(marginal, point - alpha * mean)
            data[j] = mean + alpha * covariance @ whitened[j]
            quadratic = (point - alpha * mean) @ whitened[j]
            log_det = np.linalg.slogdet(2 * math.pi * marginal)[1]
            logs[j] = math.log(law.weights[j].item()) - (quadratic + log_det) / 2
        g = np.exp(logs - logsumexp(logs))
        found["data"].append(g @ data)
        found["noise"].append(sigma * g @ whitened)
        found["velocity"].append(d_alpha * g @ data + d_sigma * sigma * g @ whitened)
        found["score"].append(-g @ whitened)
        found["log_density"].append(logsumexp(logs))
    return {name: np.array(values) for name, values in found.items()}


def fields(law: GaussianMixture, x: Tensor, c: PathCoefficients) -> dict[str, Tensor]:
    return {
        "data": law.posterior_mean_data(x, c),
        "noise": law.posterior_mean_noise(x, c),
        "velocity": law.velocity(x, c),
        "score": law.score(x, c),
        "log_density": law.log_density_t(x, c),
    }


def worst(found: Tensor, exact: np.ndarray) -> float:
    """Largest relative error of any sample."""
    ours, theirs = found.double().numpy().reshape(24, -1), exact.reshape(24, -1)
    errors = np.linalg.norm(ours - theirs, axis=1) / np.linalg.norm(theirs, axis=1)
    return float(errors.max())


@pytest.mark.parametrize(("kind", "d", "path"), CASES)
def test_fields_equal_an_independent_implementation(kind: str, d: int, path: str) -> None:
    law, covariances = mixture(kind, d)
    for t in TIMES:
        c = coefficients(path, t)
        x = points(law, c)
        exact = by_hand(law, covariances, x, c)
        for name, found in fields(law, x, c).items():
            assert worst(found, exact[name]) < 1e-8, (name, t)


@pytest.mark.parametrize(("kind", "d", "path"), CASES)
def test_float32_keeps_its_accuracy_at_both_ends(kind: str, d: int, path: str) -> None:
    """Against the same rounded points and coefficients: what they lose is not the oracle's."""
    law, covariances = mixture(kind, d)
    for t in TIMES:
        c = coefficients(path, t, torch.float32)
        x = points(law, c.to(torch.float64)).float()
        exact = by_hand(law, covariances, x, c)
        for name, found in fields(law, x, c).items():
            assert found.dtype == torch.float32
            assert worst(found, exact[name]) < 1e-6, (name, t)


def test_a_far_point_and_a_tiny_variance_agree_with_fifty_digits() -> None:
    """Exponents of 1e9 between two components of variances 1e-6 and 1e-4, on both sides."""
    weights, means, variances = [1e-12, 1 - 1e-12], [-0.3, 0.4], [1e-6, 1e-4]
    law = GaussianMixture.diagonal(
        torch.tensor(weights, dtype=torch.float64),
        torch.tensor(means, dtype=torch.float64)[:, None],
        torch.tensor(variances, dtype=torch.float64)[:, None],
    )
    x = torch.tensor([[-31.0], [-0.301], [0.05], [0.4], [40.0]], dtype=torch.float64)
    for t in TIMES:
        c = Linear().coefficients(torch.full((5,), t, dtype=torch.float64))
        for point, found in zip(x, law.velocity(x, c), strict=True):
            with mpmath.workdps(50):
                alpha, sigma = mpmath.mpf(c.alpha[0].item()), mpmath.mpf(c.sigma[0].item())
                top, total = mpmath.mpf(0), mpmath.mpf(0)
                for w, m, v in zip(law.weights, law.means, law.covariances.noise, strict=True):
                    mean, variance = mpmath.mpf(m.item()), mpmath.mpf(v.item())
                    marginal = alpha**2 * variance + sigma**2
                    r = mpmath.mpf(point.item()) - alpha * mean
                    density = w.item() * mpmath.exp(-(r**2) / marginal / 2) / mpmath.sqrt(marginal)
                    velocity = mean + alpha * variance / marginal * r - sigma / marginal * r
                    top, total = top + density * velocity, total + density
                assert found.item() == pytest.approx(float(top / total), rel=1e-9), t


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("t", TIMES)
def test_score_is_the_gradient_of_the_log_density(kind: str, t: float) -> None:
    law, _ = mixture(kind, 7)
    c = coefficients("linear", t)
    x = points(law, c).requires_grad_()
    (gradient,) = torch.autograd.grad(law.log_density_t(x, c).sum(), x)
    torch.testing.assert_close(law.score(x, c), gradient, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("t", TIMES)
def test_posterior_means_average_back_to_the_point(kind: str, t: float) -> None:
    law, _ = mixture(kind, 7)
    c = coefficients("vp", t)
    x = points(law, c)
    data, noise = law.posterior_mean_data(x, c), law.posterior_mean_noise(x, c)
    recovered = c.alpha[:, None] * data + c.sigma[:, None] * noise
    torch.testing.assert_close(recovered, x, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(noise, -c.sigma[:, None] * law.score(x, c), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_one_time_serves_all_samples(kind: str) -> None:
    law, _ = mixture(kind, 7)
    c = coefficients("linear", 0.3)
    x = points(law, c)
    one = Linear().coefficients(torch.tensor([0.3], dtype=torch.float64))
    torch.testing.assert_close(law.velocity(x, one), law.velocity(x, c))


@pytest.mark.parametrize("kind", KINDS)
def test_samples_have_the_moments_of_the_mixture(kind: str) -> None:
    law, covariances = mixture(kind)
    law = law.restricted(torch.tensor([0, 3, 4]))  # the far component would hide the others
    covariances = covariances[[0, 3, 4]]
    x, component = law.draw(200_000, stream("moments"))
    share = component.bincount(minlength=3) / len(x)
    torch.testing.assert_close(share.double(), law.weights, rtol=0, atol=0.005)
    for j in range(3):
        mine = x[component == j]
        torch.testing.assert_close(mine.mean(0), law.means[j], rtol=0, atol=0.02)
        torch.testing.assert_close(mine.T.cov(), covariances[j], rtol=0.03, atol=0.01)
    mean, covariance = law.moments()
    torch.testing.assert_close(x.mean(0), mean, rtol=0, atol=0.02)
    torch.testing.assert_close(x.T.cov(), covariance, rtol=0.03, atol=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_is_the_mixture_of_its_components(kind: str) -> None:
    law, covariances = mixture(kind, 7)
    c = coefficients("linear", 0.8)
    x = points(law, c)
    only = GaussianMixture(
        law.weights[2:4] / law.weights[2:4].sum(), law.means[2:4], covariances[2:4]
    )
    expected = only.velocity(x, c)
    torch.testing.assert_close(law.given(1).velocity(x, c), expected, rtol=1e-9, atol=1e-9)
    labels = torch.tensor([0, 1, 2]).repeat(8)
    each = law.given(labels)
    for label in range(3):
        mine, one = labels == label, law.given(label)
        at = coefficients("linear", 0.8)
        torch.testing.assert_close(each.velocity(x, at)[mine], one.velocity(x, at)[mine])
        torch.testing.assert_close(each.log_density(x)[mine], one.log_density(x)[mine])
    _, component = each.draw(24, stream("given"))
    assert torch.equal(law.labels[component], labels)


def test_classes_add_up_to_the_whole() -> None:
    law, _ = mixture()
    x = points(law, coefficients("linear", 1.0))
    shares = [law.weights[law.labels == label].sum() for label in range(3)]
    total = sum(s * law.given(y).log_density(x).exp() for y, s in enumerate(shares))
    torch.testing.assert_close(total, law.log_density(x).exp())
    with pytest.raises(ValueError, match="no component of the mixture has class 3"):
        law.given(3)
    with pytest.raises(ValueError, match="have no classes"):
        GaussianMixture(torch.ones(1), torch.zeros(1, 1), torch.ones(1, 1, 1)).given(0)


@pytest.mark.parametrize("kind", KINDS)
def test_smoothing_adds_noise_and_overlap_is_a_mean_density(kind: str) -> None:
    law, covariances = mixture(kind)
    wide = GaussianMixture(law.weights, law.means, covariances + 0.49 * torch.eye(3).double())
    x = points(law, coefficients("linear", 1.0))
    torch.testing.assert_close(law.smoothed(0.7).log_density(x), wide.log_density(x))
    draws = law.sample(100_000, stream("overlap"))
    mean = wide.log_density(draws).exp().mean().item()
    assert law.overlap(law.smoothed(0.7)) == pytest.approx(mean, rel=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_a_mixture_survives_its_tensors(kind: str) -> None:
    law, _ = mixture(kind, 7)
    back = GaussianMixture.from_tensors(law.tensors())
    assert back.tensors().keys() == law.tensors().keys()
    assert all(torch.equal(back.tensors()[name], value) for name, value in law.tensors().items())
    c = coefficients("linear", 0.4)
    assert torch.equal(back.velocity(points(law, c), c), law.velocity(points(law, c), c))


def test_log_density_is_finite_far_away() -> None:
    law, _ = mixture()
    assert law.log_density(1e6 * torch.ones(1, 3)).isfinite().all()


def test_images_keep_their_shape_and_dtype() -> None:
    law = GaussianMixture(torch.ones(1), torch.zeros(1, 4), torch.eye(4)[None])
    for dtype in (torch.bfloat16, torch.float32, torch.float64):
        x = torch.randn(24, 1, 2, 2, generator=stream("images")).to(dtype)
        for name, found in fields(law, x, coefficients("linear", 0.5, torch.float32)).items():
            assert found.dtype == dtype
            assert found.shape == (x.shape if name != "log_density" else (24,))


@pytest.mark.parametrize(
    ("weights", "covariance"),
    [([0.5, 0.6], [1.0, 1.0]), ([1.5, -0.5], [1.0, 1.0]), ([0.5, 0.5], [1.0, 0.0])],
)
def test_a_mixture_that_is_none_is_refused(weights: list[float], covariance: list[float]) -> None:
    w, means, variances = torch.tensor(weights), torch.zeros(2, 1), torch.tensor(covariance)
    with pytest.raises(ValueError, match="mixture"):
        GaussianMixture(w, means, variances[:, None, None])
    with pytest.raises(ValueError, match="mixture"):
        GaussianMixture.diagonal(w, means, variances[:, None])
    with pytest.raises(ValueError, match="mixture"):
        GaussianMixture.low_rank(w, means, torch.zeros(2, 1, 1), variances)
