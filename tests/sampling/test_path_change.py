"""The unified view: one flow, on any Gaussian path, through the same solvers."""

from __future__ import annotations

import itertools

import pytest
import torch

from bench.formulations.grammar import path as declare
from bench.models.exact import ExactModel
from bench.models.meter import counted
from bench.models.paths import Path
from bench.registry import discover
from bench.sampling.path_change import PathChange, common_log_snr, cut_to
from bench.sampling.sample import Request, sample
from bench.sampling.solvers.catalogue import SOLVERS
from tests.fields import ring

NAMES = discover("paths")
PAIRS = list(itertools.product(NAMES, NAMES))


def build(name: str) -> Path:
    path: Path = declare(name).build()
    return path


RANGE = common_log_snr(build(name) for name in NAMES)


def noise(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 2, generator=generator, dtype=torch.float64)


def changed(one: str, other: str) -> PathChange:
    """The exact flow of path ``one`` on path ``other``, where all paths are used."""
    return PathChange(ExactModel(ring(), build(one)), build(other), RANGE)


def end(one: str, other: str, solver: str, nfe: int, grid: str | None = None) -> torch.Tensor:
    """End points in the scale of the data."""
    flow = changed(one, other)
    request = Request(SOLVERS[solver], nfe, grid=grid)
    found = sample(flow, noise(32), request, 32).end
    last = torch.tensor([flow.path.interval[1]], dtype=torch.float64)
    return found / flow.path.coefficients(last).alpha


def test_the_common_range_is_every_path_s() -> None:
    low, high = RANGE
    assert low < -8
    assert high > 8
    for name in NAMES:
        cut = cut_to(build(name), RANGE)
        ends = cut.log_snr(torch.tensor(cut.interval, dtype=torch.float64))
        torch.testing.assert_close(ends, torch.tensor(RANGE, dtype=torch.float64))
        whole = build(name).interval
        assert whole[0] <= cut.interval[0] < cut.interval[1] <= whole[1]


def test_paths_without_a_common_range_are_refused() -> None:
    vp = build("vp")
    early, late = cut_to(vp, (-9.0, -5.0)), cut_to(vp, (-3.0, 3.0))
    with pytest.raises(ValueError, match="no log_snr in common"):
        common_log_snr([early, late])


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_the_changed_velocity_is_the_exact_one_of_the_other_path(one: str, other: str) -> None:
    flow, path = changed(one, other), build(other)
    levels = torch.linspace(RANGE[0] + 1e-3, RANGE[1] - 1e-3, 25, dtype=torch.float64)
    r = path.t_of_log_snr(levels)
    c = path.coefficients(r)
    x = (c.alpha**2 * 0.5 + c.sigma**2).sqrt()[:, None] * noise(25)
    with counted():
        velocity, data = flow.velocity(x, r), flow.data(x, r)
    expected = ring().velocity(x, c)
    scale = expected.norm(dim=1, keepdim=True)
    torch.testing.assert_close(velocity / scale, expected / scale, rtol=0, atol=1e-9)
    torch.testing.assert_close(data, ring().posterior_mean_data(x, c), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_euler_on_the_linear_path_is_ddim_on_every_path(one: str, other: str) -> None:
    """At the same log_snr points, whatever path the model was trained on."""
    euler = end(one, "linear", "euler", 12, "uniform_log_snr")
    torch.testing.assert_close(end(one, other, "ddim", 12), euler, rtol=0, atol=1e-12)


@pytest.mark.parametrize("other", NAMES)
def test_euler_depends_on_the_path_unless_it_is_straight(other: str) -> None:
    """A straight line of (alpha, sigma) is linear and EDM; on a curve Euler is not DDIM."""
    off = (end("vp", other, "euler", 12, "uniform_log_snr") - end("vp", other, "ddim", 12)).abs()
    if other in ("linear", "edm"):
        assert off.max() < 1e-12
    elif other in ("vp", "cosine", "trigonometric"):
        assert off.max() > 1e-3


@pytest.mark.parametrize("one", NAMES)
def test_the_converged_end_points_agree_over_sampled_paths(one: str) -> None:
    fine = [end(one, other, "rk4", 2048, "uniform_log_snr") for other in NAMES]
    for found in fine[1:]:
        torch.testing.assert_close(found, fine[0], rtol=0, atol=1e-6)


def test_the_start_is_the_model_s_own_rescaled() -> None:
    flow = PathChange(ExactModel(ring(), build("vp")), build("edm"))
    z = noise(4)
    own = cut_to(build("vp"), common_log_snr([build("vp"), build("edm")]))
    start = torch.tensor(flow.interval[:1], dtype=torch.float64)
    level = float(build("edm").coefficients(start).sigma)
    torch.testing.assert_close(flow.start(own.start_scale() * z), level * z)


def test_a_change_evaluates_the_model_as_often_as_the_model_itself() -> None:
    for solver, nfe in (("euler", 7), ("heun2", 6), ("dpmpp_2m", 5)):
        solution = sample(changed("vp", "edm"), noise(10), Request(SOLVERS[solver], nfe), 4)
        assert solution.nfe == solution.nfe_min == solution.nfe_max == nfe


def test_networks_alone_are_sampled_by_consistency() -> None:
    with pytest.raises(TypeError, match="samples networks"):
        sample(changed("vp", "edm"), noise(2), Request(SOLVERS["consistency"], 1), 2, noise)
