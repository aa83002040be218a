"""Log densities by the change of variables, against exact ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bench.data.dataset import DataSet
from bench.data.mixture import GaussianMixture
from bench.errors import BudgetError
from bench.formulations.grammar import path as declare
from bench.models.exact import ExactModel
from bench.models.meter import counted
from bench.models.path_model import PathModel, build_network
from bench.models.paths import Path
from bench.models.paths.linear import Linear
from bench.models.paths.vp import Vp
from bench.sampling.likelihood import bits_per_dimension, dequantised, log_likelihood, rademacher
from tests.fields import exact_model, ring

TIGHT = 1e-6
LIMIT = 1e-2
"""Nats, for every single point."""


def eight() -> GaussianMixture:
    """Four modes in eight dimensions about their mean, each with a full covariance of its own.

    The start of a VP path keeps 0.0066 of the mean of the data, which no base density knows.
    """
    generator = torch.Generator().manual_seed(0)
    turned = 0.2 * torch.randn(4, 8, 8, generator=generator, dtype=torch.float64)
    means = 0.4 * torch.randn(4, 8, generator=generator, dtype=torch.float64)
    weights = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    return GaussianMixture(
        weights, means - weights @ means, turned @ turned.mT + 0.04 * torch.eye(8)
    )


def diagonal() -> GaussianMixture:
    """The same modes, each with other variances along the axes."""
    law = eight()
    variances = law.covariances.dense().diagonal(dim1=1, dim2=2)
    return GaussianMixture.diagonal(law.weights, law.means, variances)


def points(law: GaussianMixture, count: int = 24) -> Tensor:
    return law.sample(count, torch.Generator().manual_seed(1))


def at_the_end(law: GaussianMixture, path: Path, x: Tensor) -> Tensor:
    """Exact log density of ``(alpha*data + sigma*noise)/alpha`` at the path's end."""
    c = path.coefficients(torch.tensor([path.interval[1]], dtype=torch.float64))
    return law.log_density_t(c.alpha * x, c) + x.shape[1] * c.alpha.log()


def check_against_the_exact_law(law: GaussianMixture, path: Path) -> None:
    x = points(law)
    found = log_likelihood(ExactModel(law, path), x, tolerance=TIGHT, batch_size=len(x))
    difference = found.log_density - at_the_end(law, path, x)
    assert difference.abs().max() < LIMIT
    assert (found.probe_se == 0).all()


PATHS = ["linear", "vp", "trigonometric"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("law", [ring(), eight(), diagonal()], ids=["ring", "full", "diagonal"])
def test_it_is_the_exact_log_density(law: GaussianMixture, path: str) -> None:
    check_against_the_exact_law(law, declare(path).build())


@pytest.mark.parametrize("path", [Linear().cut(end=0.8), Vp().cut(end=0.6)], ids=["linear", "vp"])
def test_a_path_that_ends_early_has_the_law_at_its_end(path: Path) -> None:
    """Its alpha is well below one: a density without the Jacobian of the scaling is far off."""
    law = ring()
    check_against_the_exact_law(law, path)
    x = points(law)
    assert (at_the_end(law, path, x) - law.log_density(x)).abs().max() > 0.2


def test_a_single_gaussian_has_its_density_in_closed_form() -> None:
    law = GaussianMixture.diagonal(
        torch.ones(1), torch.zeros(1, 3), torch.tensor([[0.5, 1.0, 2.0]])
    )
    x = points(law)
    found = log_likelihood(ExactModel(law, Linear()), x, tolerance=TIGHT, batch_size=len(x))
    scale = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64).sqrt()
    truth = torch.distributions.Normal(0, scale, validate_args=False).log_prob(x).sum(dim=1)
    torch.testing.assert_close(found.log_density, truth, rtol=0, atol=1e-4)


def check_probes(probes: Callable[..., Tensor]) -> None:
    """The estimate is within four of its own standard errors of the exact trace's."""
    law, path = eight(), Linear()
    x = points(law, 48)
    model = ExactModel(law, path)
    exact = log_likelihood(model, x, tolerance=1e-5, batch_size=len(x))
    found = log_likelihood(
        model, x, tolerance=1e-5, batch_size=len(x), probes=probes(len(x), 8, (8,), "test")
    )
    difference = found.log_density - exact.log_density
    assert (found.probe_se > 0).all()
    mean_se = found.probe_se.square().sum().sqrt() / len(x)
    assert difference.mean().abs() < 4 * mean_se
    # Standard errors are neither too small nor too large: standardised, their spread is about one.
    assert 0.6 < (difference / found.probe_se).std() < 2.0


def test_probes_estimate_the_exact_trace_within_their_standard_error() -> None:
    check_probes(rademacher)


def test_probes_are_signs_keyed_by_sample() -> None:
    signs = rademacher(200, 4, (3,), "key")
    assert signs.shape == (200, 4, 3)
    assert signs.abs().eq(1).all()
    assert signs.mean().abs() < 0.1
    assert torch.equal(rademacher(5, 4, (3,), "key"), signs[:5])
    assert not torch.equal(rademacher(5, 4, (3,), "another"), signs[:5])


def test_evaluations_are_counted_at_the_network_and_products_apart() -> None:
    law, x = ring(), points(ring(), 10)
    found = log_likelihood(ExactModel(law, Linear()), x, tolerance=1e-3, batch_size=4)
    assert found.nfe_min <= found.nfe <= found.nfe_max
    # dopri5: one at the start and six an attempted step, on each of the three batches.
    assert (found.nfe_min - 1) % 6 == (found.nfe_max - 1) % 6 == 0
    assert found.backwards == pytest.approx(2 * found.nfe)
    with pytest.raises(BudgetError):
        ExactModel(law, Linear()).velocity(x, torch.full((10,), 0.5))


def test_no_evaluation_is_outside_the_interval() -> None:
    path = Linear().cut(start=0.1, end=0.7)
    seen: list[Tensor] = []

    class Noting(ExactModel):
        def velocity(self, x: Tensor, t: Tensor) -> Tensor:
            seen.append(t)
            return super().velocity(x, t)

    log_likelihood(Noting(ring(), path), points(ring(), 4), tolerance=1e-4, batch_size=4)
    times = torch.cat(seen)
    assert times.dtype == torch.float64
    assert 0.1 <= times.min() < 0.1 + 1e-9 and 0.7 - 1e-9 < times.max() <= 0.7


def test_a_network_in_float32_agrees_with_the_exact_field() -> None:
    law, path = ring(), Vp()
    x = points(law)
    model = exact_model(path, law)
    model.network.requires_grad_(False)
    found = log_likelihood(model, x.float(), tolerance=1e-5, batch_size=len(x))
    assert found.log_density.dtype == torch.float64
    assert (found.log_density - at_the_end(law, path, x)).abs().mean() < LIMIT
    with counted():
        assert not model.velocity(x.float(), torch.full((len(x),), 0.5)).requires_grad


def test_the_density_of_any_network_integrates_to_one() -> None:
    """On a grid of the plane; nothing exact is known of this field."""
    network = build_network("residual_mlp", (2,), {"width": 16, "depth": 1, "embedding": 8}, 0)
    leave = network.get_parameter("leave.weight")
    torch.nn.init.normal_(leave, std=0.15, generator=torch.Generator().manual_seed(0))
    model = PathModel(network.requires_grad_(False), Linear(), "velocity", 1.0)
    axis = torch.linspace(-6, 6, 61)
    found = log_likelihood(
        model, torch.cartesian_prod(axis, axis), tolerance=1e-4, batch_size=61 * 61
    )
    assert found.log_density.exp().sum().item() * 0.2**2 == pytest.approx(1, abs=2e-3)
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(torch.cartesian_prod(axis, axis)).sum(1)
    assert (found.log_density - normal).abs().max() > 0.5


def test_each_sample_is_told_its_class() -> None:
    law = ring()
    labelled = GaussianMixture(
        law.weights, law.means, law.covariances, labels=torch.tensor([0, 0, 1, 1, 1])
    )
    label = torch.tensor([0, 1]).repeat(8)
    x = labelled.given(label).sample(16, torch.Generator().manual_seed(0))
    model = ExactModel(labelled, Linear()).given(label)
    found = log_likelihood(model, x, tolerance=1e-5, batch_size=6)
    truth = labelled.given(label).log_density(x)
    torch.testing.assert_close(found.log_density, truth, rtol=0, atol=LIMIT)


# --- grey levels -----------------------------------------------------------------------------


def images(levels: int) -> DataSet:
    generator = torch.Generator().manual_seed(0)
    grey = torch.randint(0, levels, (500, 1, 4, 4), generator=generator) * (2 / (levels - 1)) - 1
    return DataSet("digits", "image", grey, grey, levels, 0.6)


def test_dequantised_values_stay_in_the_cells_of_their_levels() -> None:
    dataset = images(17)
    spread = dequantised(dataset, dataset.held_out, "test")
    assert torch.equal(dataset.to_levels(spread), dataset.to_levels(dataset.held_out))
    places = (spread - dataset.held_out) * 8 + 0.5
    assert places.min() > -1e-5 and places.max() < 1 + 1e-5
    assert places.mean() == pytest.approx(0.5, abs=0.01)
    assert places.std() == pytest.approx(12**-0.5, abs=0.01)
    assert torch.equal(spread, dequantised(dataset, dataset.held_out, "test"))


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_the_uniform_law_has_log2_levels_bits(levels: int) -> None:
    dataset = images(levels)
    width = 2 * levels / (levels - 1)
    log_density = torch.full((3,), -16 * torch.tensor(width).double().log().item())
    bits = bits_per_dimension(dataset, log_density.double())
    expected = torch.full((3,), levels).double().log2()
    torch.testing.assert_close(bits, expected, rtol=0, atol=1e-6)
