"""The ring of Gaussians: its points follow its own exact law."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from pydantic import ValidationError

from bench.data.dataset import DataSet
from bench.data.sources.mixture2d import Options, build


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


@pytest.mark.parametrize("wrong", [{"modes": 3}, {"std": 0}, {"radius": -1.0}, {"mode": 8}])
def test_rings_that_are_none_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Options(**wrong)
