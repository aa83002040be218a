"""Noise banks, and the change of path."""

from __future__ import annotations

import pytest
import torch

from bench.formulations.grammar import path as declare
from bench.models.meter import counted
from bench.models.path_model import PathModel
from bench.models.paths import Path
from bench.models.paths.linear import Linear
from bench.models.paths.trigonometric import Trigonometric
from bench.models.paths.vp import Vp
from bench.registry import discover
from bench.sampling import straightness as geometry
from bench.sampling.banks import solver_noise, starting_noise
from bench.sampling.path_change import PathChange
from bench.sampling.solvers import grids, ode
from tests.fields import exact_model, ring


def test_noise_of_a_sample_does_not_depend_on_how_many_are_drawn() -> None:
    few, many = (starting_noise(0, "scoring", count, (1, 3, 5)) for count in (7, 40))
    assert torch.equal(few, many[:7])


def test_noise_is_keyed_by_seed_bank_and_interval() -> None:
    banks = [starting_noise(seed, bank, 4, (8,)) for seed in (0, 1) for bank in ("a", "b")]
    banks += [solver_noise(0, "a", range(4), (8,), interval) for interval in (1, 2)]
    for i, one in enumerate(banks):
        for other in banks[i + 1 :]:
            assert (one != other).all()


def test_noise_is_standard_normal() -> None:
    noise = starting_noise(0, "scoring", 4000, (4,))
    assert float(noise.mean()) == pytest.approx(0, abs=0.03)
    assert float(noise.var()) == pytest.approx(1, abs=0.04)
    assert float(noise.pow(4).mean()) == pytest.approx(3, abs=0.3)


@pytest.mark.parametrize("name", [n for n in discover("paths") if n != "linear"])
def test_a_change_of_path_gives_the_exact_velocity_of_the_other_path(name: str) -> None:
    """An exact field on path A, changed to the linear path, is the exact field there."""
    path: Path = declare(name).build()
    mixture, linear = ring(), Linear()
    change = PathChange(exact_model(path, mixture), linear)
    low, high = change.interval
    r = torch.linspace(low + 0.02, high - 0.02, 9, dtype=torch.float64)
    x = torch.randn(9, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with counted():
        changed = change.velocity(x, r)
    expected = mixture.velocity(x, linear.coefficients(r))
    torch.testing.assert_close(changed, expected, rtol=1e-4, atol=1e-4)


def test_the_changed_flow_ends_where_the_model_does() -> None:
    """The linear path's end point, scaled back, is VP's."""
    vp, linear = Vp(), Linear()
    model = exact_model(vp, ring())
    change = PathChange(model, linear)
    z = torch.randn(16, 2, generator=torch.Generator().manual_seed(1))
    start = vp.start_scale() * z
    with counted():
        on_vp = ode.solve_adaptive(model.velocity, start, vp.interval, "dopri5", 1e-7)
        on_linear = ode.solve_adaptive(
            change.velocity, change.start(start), change.interval, "dopri5", 1e-7
        )
    end = torch.tensor([vp.interval[1]], dtype=torch.float64)
    alpha = vp.coefficients(end).alpha
    scale = float(change.interval[1] / alpha)
    torch.testing.assert_close(on_linear, on_vp * scale, rtol=0, atol=2e-3)


def test_a_straight_flow_is_straight() -> None:
    """All mass moves by one vector at constant speed: 0, 0 and 1."""

    class Constant(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.vector = torch.nn.Parameter(torch.tensor([3.0, -1.0]))

        def forward(
            self, x: torch.Tensor, condition: torch.Tensor, label: torch.Tensor | None
        ) -> torch.Tensor:
            return self.vector.expand(x.shape)

    model = PathModel(Constant(), Linear(), "velocity", 1.0)
    traced = geometry.native(model, torch.randn(9, 2, generator=torch.Generator().manual_seed(0)))
    assert traced.straightness == pytest.approx(0, abs=1e-9)
    assert traced.arc_over_chord == pytest.approx(1, abs=1e-5)


def test_the_three_figures_on_exact_fields() -> None:
    """On the linear path in its own time two figures coincide; after the change paths agree."""
    noise = torch.randn(256, 2, generator=torch.Generator().manual_seed(0))
    linear, vp = (exact_model(path, ring()) for path in (Linear(), Vp()))
    own, changed = geometry.native(linear, noise), geometry.on_linear_path(linear, noise)
    assert own.straightness == pytest.approx(changed.straightness, rel=1e-6)
    # VP's interval leaves out 0.7% at one end and 1% at the other; the trigonometric path reaches
    # pure noise and pure data, where the change of path has no limit to be computed.
    for model in (vp, exact_model(Trigonometric(), ring())):
        after = geometry.on_linear_path(model, noise).straightness
        assert after == pytest.approx(own.straightness, rel=0.1)
    assert geometry.native(vp, noise).straightness > 1.1 * own.straightness


def test_a_grid_uniform_in_log_snr_spans_the_interval() -> None:
    for path in (Vp(), Linear()):
        grid = grids.uniform_log_snr(path, 16)
        assert (float(grid[0]), float(grid[-1])) == path.interval
        assert (grid.diff() > 0).all()
        steps = path.log_snr(grid[1:-1]).diff()
        torch.testing.assert_close(steps, steps[:1].expand_as(steps))
