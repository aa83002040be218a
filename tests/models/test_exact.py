"""The exact flow as a model, and the distance of models from it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from bench.data.dataset import DataSet
from bench.data.mixture import GaussianMixture
from bench.errors import BudgetError
from bench.models.exact import ExactModel
from bench.models.meter import counted
from bench.models.paths import Path
from bench.models.paths.edm import Edm
from bench.models.paths.linear import Linear
from bench.models.paths.vp import Vp
from bench.sampling.field_error import FIELD_SAMPLES, field_errors, field_points
from bench.sampling.sample import Request, sample
from bench.sampling.solvers.catalogue import SOLVERS
from tests.fields import exact_model, ring


def data_set(law: GaussianMixture) -> DataSet:
    points = law.sample(8, torch.Generator().manual_seed(0)).float()
    return DataSet("mixture2d", "vector", points, points, None, 0.7, mixture=law)


class Shifted(ExactModel):
    """An exact flow whose estimate of the data is off by a vector."""

    by = 0.3

    def data(self, x: Tensor, t: Tensor) -> Tensor:
        return super().data(x, t) + self.by

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        c = self.path.coefficients(t)
        # velocity = d_alpha*D + d_sigma*(x - alpha*D)/sigma
        slope = c.d_alpha - c.d_sigma * c.alpha / c.sigma
        return super().velocity(x, t) + slope[:, None].to(x) * self.by


def test_its_evaluations_are_counted_and_may_not_go_uncounted() -> None:
    exact, z = ExactModel(ring(), Linear()), torch.zeros(5, 2)
    assert sample(exact, z, Request(SOLVERS["rk4"], 8), 5).nfe == 8
    with pytest.raises(BudgetError):
        exact.velocity(z, torch.full((5,), 0.5))


@pytest.mark.parametrize("path", [Linear(), Vp(), Edm()], ids=["linear", "vp", "edm"])
def test_the_exact_flow_ends_in_its_law(path: Path) -> None:
    """Against a network that was given the same field, and by the moments of the end points."""
    law = ring()
    z = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    end = sample(ExactModel(law, path), z, Request(SOLVERS["dopri5"], tolerance=1e-6), 4000).end
    mean, covariance = law.moments()
    torch.testing.assert_close(end.mean(0), mean, rtol=0, atol=0.04)
    torch.testing.assert_close(end.T.cov(), covariance, rtol=0, atol=0.04)
    network = sample(
        exact_model(path, law), z[:32].float(), Request(SOLVERS["dopri5"], tolerance=1e-6), 32
    ).end
    torch.testing.assert_close(network.double(), end[:32], rtol=0, atol=5e-3)


def test_the_field_error_of_the_exact_field_is_nothing() -> None:
    data, noise, _ = field_points(data_set(ring()), ring())
    exact = ExactModel(ring(), Vp())
    errors = field_errors(exact, exact, data, noise)
    assert [error.log_snr for error in errors] == list(range(-8, 9))
    assert all(error.velocity == error.data == 0 for error in errors)


def test_the_field_error_of_a_known_shift() -> None:
    data, noise, _ = field_points(data_set(ring()), ring())
    for path in (Linear(), Vp()):
        errors = field_errors(Shifted(ring(), path), ExactModel(ring(), path), data, noise)
        for error in errors:
            assert error.data == pytest.approx(0.3**2, rel=1e-4)
            assert error.velocity > 0


def test_points_beyond_the_interval_are_left_out() -> None:
    data, noise, _ = field_points(data_set(ring()), ring())
    path = Linear().cut(start=0.1, end=0.9)
    errors = field_errors(ExactModel(ring(), path), ExactModel(ring(), path), data, noise)
    assert [error.log_snr for error in errors] == list(range(-4, 5))


def test_all_models_meet_the_same_points() -> None:
    one, other = (field_points(data_set(ring()), ring()) for _ in range(2))
    for mine, theirs in zip(one, other, strict=True):
        assert len(mine) == FIELD_SAMPLES
        assert torch.equal(mine, theirs)
    renamed = field_points(replace(data_set(ring()), name="another"), ring())
    assert not torch.equal(renamed[0], one[0])


def test_a_flow_of_a_class_ends_in_the_class() -> None:
    law = ring()
    labelled = GaussianMixture(
        law.weights, law.means, law.covariances, labels=torch.tensor([0, 0, 1, 1, 1])
    )
    label = torch.tensor([0, 1]).repeat(200)
    z = torch.randn(400, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    exact = ExactModel(labelled, Linear()).given(label)
    end = sample(exact, z, Request(SOLVERS["dopri5"], tolerance=1e-5), 150).end
    nearest = torch.cdist(end, law.means).argmin(dim=1)
    own = torch.where(label == 0, nearest < 2, nearest >= 2)
    assert own.double().mean() > 0.97


def test_an_evaluation_of_a_batch_counts_its_samples() -> None:
    exact = ExactModel(ring(), Linear())
    with counted() as passes:
        exact.data(torch.zeros(3, 2), torch.full((3,), 0.5))
    assert passes.forwards == 3
