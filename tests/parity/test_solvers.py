"""End points against azula's samplers and diffusers' schedulers: one field, the same points.

The field is the exact one of a mixture, states are float32, and end points agree to 1e-4.

Conventions. azula's time runs from data (0) to noise (1); its samplers divide by alpha, so paths
are cut to where it is not 0. diffusers' schedulers are made for networks trained on a thousand
steps: here their noise levels are replaced by those of the grid. They hold ``sigma/alpha`` of the
variance-preserving path with the same log_snr, or sigma of the linear path (``use_flow_sigmas``),
or of EDM's path (Heun). Their habit to lower the order of the last steps is switched off.
"""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.formulations.grammar import path as declare
from bench.models.paths import Path, PathCoefficients
from bench.sampling.path_change import cut_to
from bench.sampling.solvers import edm, exponential, ode, stochastic
from bench.sampling.solvers.grids import uniform_log_snr
from bench.sampling.solvers.schedule import Point, Schedule
from tests.fields import ring

azula = pytest.importorskip("azula.sample", reason="pip install '.[parity]'")
diffusers = pytest.importorskip("diffusers", reason="pip install '.[parity]'")

LAW = ring()
INTERVALS = 10
PATHS = ["linear", "vp", "cosine", "trigonometric", "edm"]


def estimate(x: Tensor, alpha: float, sigma: float) -> Tensor:
    """The data's posterior mean, float32 as ``x``."""
    one = torch.ones(1, dtype=torch.float64)
    return LAW.posterior_mean_data(x, PathCoefficients(alpha * one, sigma * one, one, one))


def denoiser(x: Tensor, point: Point) -> Tensor:
    return estimate(x, point.alpha, point.sigma)


def schedule_of(name: str) -> Schedule:
    path = cut_to(declare(name).build(), (-6.0, 6.0))
    return Schedule.of(path, uniform_log_snr(path, INTERVALS))


def starts(schedule: Schedule) -> Tensor:
    z = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    return schedule.points[0].sigma * z


def agree(ours: Tensor, theirs: Tensor) -> None:
    assert ours.dtype == theirs.dtype == torch.float32
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


class AzulaDenoiser:
    """The field in azula's time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def schedule(self, t: Tensor) -> tuple[Tensor, Tensor]:
        c = self.path.coefficients(1 - t)
        return c.alpha, c.sigma

    def __call__(self, x: Tensor, t: Tensor) -> SimpleNamespace:
        alpha, sigma = self.schedule(t)
        return SimpleNamespace(mean=estimate(x, float(alpha), float(sigma)))


def by_azula(sampler: str, schedule: Schedule, x: Tensor, **options: float) -> Tensor:
    """The end of one of azula's samplers on the points of a schedule."""
    times = 1 - torch.tensor([point.t for point in schedule.points], dtype=torch.float64)
    on_grid = type("OnGrid", (getattr(azula, sampler),), {"timesteps": property(lambda _: times)})
    end: Tensor = on_grid(AzulaDenoiser(schedule.path), silent=True, **options)(x)
    return end


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("name", "sampler", "options"),
    [
        ("ddim", "EulerSampler", {}),
        ("ddim", "DDIMSampler", {"eta": 0.0}),
        ("eab3", "xEABSampler", {"order": 3}),
    ],
)
def test_exponential_integrators_of_azula(
    name: str, sampler: str, options: dict[str, float], path: str
) -> None:
    """Their Euler is that of the noise level, which is DDIM."""
    schedule = schedule_of(path)
    x = starts(schedule)
    ours = exponential.METHODS[name](denoiser, x, schedule)
    agree(ours, by_azula(sampler, schedule, x, **options))


@pytest.mark.parametrize("path", PATHS)
def test_heun_of_azula(path: str) -> None:
    """They correct the last interval too; EDM, and this repository, leave it to Euler."""
    schedule = schedule_of(path)
    x = starts(schedule)
    corrected = by_azula("HeunSampler", Schedule(schedule.path, schedule.points[:-1]), x)
    theirs = by_azula("EulerSampler", Schedule(schedule.path, schedule.points[-2:]), corrected)
    agree(edm.heun(denoiser, x, schedule), theirs)


@pytest.mark.parametrize("path", PATHS)
def test_ancestral_sampling_of_azula(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They draw from the global generator, which here hands out our noise."""
    schedule = schedule_of(path)
    x = starts(schedule)
    fresh = torch.randn(INTERVALS, *x.shape, generator=torch.Generator().manual_seed(1))
    drawn = iter(fresh)
    monkeypatch.setattr(torch, "randn_like", lambda like: next(drawn))
    theirs = by_azula("DDPMSampler", schedule, x)
    agree(stochastic.ancestral(denoiser, x, schedule, fresh.__getitem__), theirs)


def test_euler_through_torchdiffeq_on_the_linear_path_is_azulas() -> None:
    schedule = schedule_of("linear")
    x = starts(schedule)

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        return LAW.velocity(x, schedule.path.coefficients(t))

    times = torch.tensor([point.t for point in schedule.points], dtype=torch.float64)
    ours = ode.solve_fixed(velocity, x, times, "euler")
    agree(ours, by_azula("EulerSampler", schedule, x))


def by_diffusers(scheduler: Any, points: list[Point], levels: list[float], x: Tensor) -> Tensor:
    """The end of a scheduler on given noise levels.

    Args:
        scheduler: a scheduler of diffusers whose model output is an estimate of the data.
        points: where each call evaluates the field.
        levels: the scheduler's sigmas, one more than points.
        x: start.
    """
    scheduler.set_timesteps(len(points))
    scheduler.sigmas = torch.tensor(levels)
    scheduler.timesteps = torch.arange(len(points))
    scheduler.set_begin_index(0)
    for time, point in zip(scheduler.timesteps, points, strict=True):
        x = scheduler.step(denoiser(x, point), time, x).prev_sample
    return x


def level(point: Point, path: str) -> float:
    """What the scheduler holds: sigma of the linear path, or sigma/alpha."""
    return point.sigma if path == "linear" else point.sigma / point.alpha


COMMON: dict[str, Any] = {
    "prediction_type": "sample",
    "final_sigmas_type": "sigma_min",
    "lower_order_final": False,
}


@pytest.mark.parametrize("path", ["linear", "vp"])
@pytest.mark.parametrize(
    ("name", "scheduler", "options"),
    [
        ("dpmpp_2m", "DPMSolverMultistepScheduler", {"solver_order": 2}),
        ("dpmpp_3m", "DPMSolverMultistepScheduler", {"solver_order": 3}),
        ("unipc", "UniPCMultistepScheduler", {"solver_order": 2, "solver_type": "bh2"}),
    ],
)
def test_multistep_schedulers_of_diffusers(
    name: str, scheduler: str, options: dict[str, Any], path: str
) -> None:
    schedule = schedule_of(path)
    x = starts(schedule)
    build = getattr(diffusers, scheduler)
    theirs = by_diffusers(
        build(**COMMON, **options, use_flow_sigmas=path == "linear"),
        list(schedule.points[:-1]),
        [level(point, path) for point in schedule.points],
        x,
    )
    agree(exponential.METHODS[name](denoiser, x, schedule), theirs)


@pytest.mark.parametrize("path", ["linear", "vp"])
def test_the_singlestep_scheduler_of_diffusers(path: str) -> None:
    """Their halfway points are points of their grid; they are given in the middle of log_snr."""
    schedule = schedule_of(path)
    x = starts(schedule)
    points = [schedule.points[0]]
    for now, ahead in pairwise(schedule.points):
        points += [schedule.at((now.half_log_snr + ahead.half_log_snr) / 2), ahead]
    theirs = by_diffusers(
        diffusers.DPMSolverSinglestepScheduler(
            **COMMON, solver_order=2, use_flow_sigmas=path == "linear"
        ),
        points[:-1],
        [level(point, path) for point in points],
        x,
    )
    agree(exponential.METHODS["dpmpp_2s"](denoiser, x, schedule), theirs)


def test_the_heun_scheduler_of_diffusers() -> None:
    """Every inner level is listed twice: for the corrector and for the next interval."""
    schedule = schedule_of("edm")
    x = starts(schedule)
    first, *inner, last = schedule.points
    points = [first, *(point for point in inner for _ in range(2))]
    theirs = by_diffusers(
        diffusers.HeunDiscreteScheduler(prediction_type="sample"),
        points,
        [point.sigma for point in (*points, last)],
        x,
    )
    agree(edm.heun(denoiser, x, schedule), theirs)
