"""The embedded mixture: a flat of few dimensions in many, with the moments it is said to have."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from bench.data.sources.embedded_mixture import Options, build, mixture


@pytest.mark.parametrize(("dimensions", "intrinsic"), [(16, 2), (64, 4), (256, 8)])
def test_the_variance_lies_on_a_flat(dimensions: int, intrinsic: int) -> None:
    options = Options(dimensions=dimensions, intrinsic=intrinsic, noise=0.05)
    _, covariance = mixture(options).moments()
    values = torch.linalg.eigvalsh(covariance)
    beyond = values[: dimensions - intrinsic]
    torch.testing.assert_close(beyond, torch.full_like(beyond, 0.05**2))
    assert values[-intrinsic:].min() > 10 * 0.05**2
    assert covariance.trace().item() == pytest.approx(dimensions * (0.25 + 0.05**2))
    share = (values[-intrinsic:].sum() / values.sum()).item()
    d, r, n = dimensions, intrinsic, 0.05**2
    assert share == pytest.approx((d + 4 * r * n) / (d + 4 * d * n))


def test_components_are_apart_and_elongated() -> None:
    law = mixture(Options(components=6))
    assert law.labels is not None
    assert law.labels.tolist() == list(range(6))
    gaps = torch.pdist(law.means)
    variances = torch.linalg.eigvalsh(law.covariances.dense())[:, -4:] - 0.1**2
    assert (variances[:, -1] / variances[:, 0]).tolist() == pytest.approx([9.0] * 6)
    assert gaps.min() > 2 * variances[:, -1].sqrt().max()


def test_it_has_up_to_a_thousand_dimensions() -> None:
    data = build(Options(dimensions=1024, train=200, held_out=100))
    assert data.shape == (1024,)
    assert data.mixture is not None
    log_density = data.mixture.log_density(data.held_out.double())
    assert log_density.isfinite().all()
    # One normal direction after another: -entropy of the noise is most of it.
    assert log_density.mean().item() == pytest.approx(
        -1024 * (0.5 * torch.log(torch.tensor(2 * torch.pi * 0.01)).item() + 0.5), rel=0.03
    )


@pytest.mark.parametrize(
    "wrong",
    [{"dimensions": 15}, {"dimensions": 1025}, {"intrinsic": 1}, {"noise": 0}, {"components": 1}],
)
def test_mixtures_that_are_none_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Options(**wrong)
