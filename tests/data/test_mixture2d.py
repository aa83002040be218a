"""Gaussians in the plane: their points follow their own exact law, in every layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from bench.data.dataset import DataSet
from bench.data.sources.mixture2d import Options, build, describe, mixture
from bench.streams import stream


def test_points_lie_on_the_ring_with_the_declared_weights(
    real_data: Callable[[str], DataSet],
) -> None:
    dataset = real_data("mixture2d")
    assert (len(dataset.train), len(dataset.held_out)) == (50_000, 20_000)
    angles = torch.atan2(dataset.train[:, 1], dataset.train[:, 0])
    mode = (angles / (2 * torch.pi / 8)).round().remainder(8).long()
    assert dataset.train_labels is not None
    assert (mode == dataset.train_labels).float().mean() > 0.999
    share = mode.bincount(minlength=8) / len(mode)
    expected = torch.tensor([1.0, 2.0] * 4) / 12
    torch.testing.assert_close(share, expected, rtol=0, atol=0.006)
    residual = dataset.train - torch.stack(
        [(mode * torch.pi / 4).cos(), (mode * torch.pi / 4).sin()], dim=1
    )
    torch.testing.assert_close(residual.std(0), torch.full((2,), 0.1), rtol=0.01, atol=0)
    assert dataset.sigma_data == pytest.approx(0.51**0.5, rel=0.01)


def test_options_change_the_ring() -> None:
    small = build(Options(modes=2, radius=3.0, std=0.5, train=100, held_out=50))
    assert (len(small.train), len(small.held_out)) == (100, 50)
    assert small.mixture is not None
    assert small.mixture.means.norm(dim=1).tolist() == pytest.approx([3.0, 3.0])
    assert small.mixture.covariances.dense()[0, 0, 0].item() == pytest.approx(0.25)


@pytest.mark.parametrize(
    "wrong", [{"modes": 3}, {"std": 0}, {"radius": -1.0}, {"mode": 8}, {"layout": "rings"}]
)
def test_rings_that_are_none_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Options(**wrong)


LAYOUTS = ["ring", "grid", "spiral", "moons"]


@pytest.mark.parametrize("modes", [2, 8, 18])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_samples_of_every_layout_have_its_moments_and_entropy(layout: Any, modes: int) -> None:
    options = Options(layout=layout, modes=modes, radius=1.5, std=0.07)
    law = mixture(options)
    x, component = law.draw(20_000, stream("layout", layout))
    mean, covariance = law.moments()
    assert mean.abs().max() < 0.6
    error = (covariance.diagonal() / len(x)).sqrt()
    assert ((x.mean(0) - mean).abs() < 5 * error).all()
    torch.testing.assert_close(x.T.cov(), covariance, rtol=0.05, atol=0.01)
    assert law.labels is not None
    assert describe(options).classes == len(law.labels.unique())
    share = component.bincount(minlength=modes) / len(x)
    torch.testing.assert_close(share.double(), law.weights, rtol=0, atol=0.015)
    assert law.means.norm(dim=1).max() < 1.5 * 1.5


def test_layouts_are_the_figures_they_are_called_after() -> None:
    grid = mixture(Options(layout="grid", modes=16)).means
    lattice = torch.linspace(-1, 1, 4).double()
    torch.testing.assert_close(grid.reshape(4, 4, 2)[..., 0], lattice.expand(4, 4))
    torch.testing.assert_close(grid.reshape(4, 4, 2)[..., 1], lattice[:, None].expand(4, 4))
    spiral = mixture(Options(layout="spiral", modes=32)).means[:16]
    assert (spiral.norm(dim=1).diff() > 0).all()
    turns = torch.atan2(spiral[:, 1], spiral[:, 0]).diff().remainder(2 * torch.pi)
    assert turns.sum().item() == pytest.approx(1.5 * torch.pi, abs=1.0)
    upper, lower = mixture(Options(layout="moons", modes=32)).means.split(16)
    centre = torch.tensor([-1 / 3, -1 / 6]).double()
    torch.testing.assert_close((upper - centre).norm(dim=1), torch.full((16,), 2 / 3).double())
    assert (upper[:, 1] > centre[1]).all()
    torch.testing.assert_close(upper, -lower)


@pytest.mark.parametrize("layout", ["spiral", "moons"])
def test_modes_along_a_curve_run_into_each_other(layout: Any) -> None:
    """The density at a middle between two of one curve is of that of the modes' own order."""
    law = mixture(Options(layout=layout, modes=32, std=0.03, ratio=1.0))
    arm = law.means[:16]
    between, at = (law.log_density(x) for x in ((arm[1:] + arm[:-1]) / 2, arm))
    assert (between[2:-1] > torch.minimum(at[:-1], at[1:])[2:-1] - 1.5).all()
