"""Every law of training times: inside the interval, rising, truncated; published densities."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from bench.formulations.grammar import path as declare_path
from bench.formulations.grammar import time_sampling as declare
from bench.models.paths import Path
from bench.registry import discover
from bench.training.time_sampling import TimeSampling

LAWS = discover("time_sampling")
PATHS = discover("paths")


def strata(count: int = 2000) -> Tensor:
    return (torch.arange(count, dtype=torch.float64) + 0.5) / count


def built(law: str, path: str) -> tuple[TimeSampling, Path]:
    return declare(law).build(), declare_path(path).build()


def bounded(path: Path) -> bool:
    """Whether the path starts at a finite noise level, which the law of a grid's levels needs."""
    return math.isfinite(path.log_snr(torch.tensor([path.interval[0]])).item())


def check_times(sampling: TimeSampling, on: Path, dtype: torch.dtype) -> None:
    """Times rise with their numbers, in the same precision, and lie inside the interval."""
    extremes = torch.tensor([2.0**-24, 1 - 2.0**-24], dtype=torch.float64)
    u = torch.cat([extremes[:1], strata(), extremes[1:]]).to(dtype)
    t = sampling(u, on)
    assert t.dtype == dtype
    assert t.shape == u.shape
    assert (t.diff() >= 0).all()
    assert t.min() >= on.interval[0]
    assert t.max() <= on.interval[1]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_times_rise_inside_the_interval(law: str, path: str, dtype: torch.dtype) -> None:
    sampling, on = built(law, path)
    if law == "karras" and not bounded(on):
        with pytest.raises(ValueError, match="largest noise level"):
            sampling(strata(), on)
    else:
        check_times(sampling, on, dtype)
        check_times(sampling, on.cut(start=0.3, end=0.6), dtype)


def _mode(t: Tensor) -> Tensor:
    """The distribution function of mode sampling at its default scale, by interpolation."""
    u = np.linspace(0, 1, 200_001)
    quantiles = u - 1.29 * (np.sin(math.pi / 2 * u) ** 2 - u)
    return torch.from_numpy(np.interp(t.numpy(), quantiles, u))


STATED: dict[str, Callable[[Path, Tensor], Tensor]] = {
    "uniform": lambda on, t: t,
    "linear_uniform": lambda on, t: (on.log_snr(t) / 2).sigmoid(),
    "logit_normal": lambda on, t: torch.special.ndtr(t.logit()),
    "lognormal": lambda on, t: torch.special.ndtr((on.log_snr(t) / 2 - 1.2) / 1.2),
    "karras": lambda on, t: -(-on.log_snr(t) / 2 / 7).exp(),
    "mode": lambda on, t: _mode(t),
}
"""What rises with t as the law's distribution function does, at its defaults and not truncated."""

POINTS = ("start",)
"""Laws of a single time."""


def check_law(sampling: TimeSampling, stated: Callable[[Path, Tensor], Tensor], on: Path) -> None:
    """Truncated to the interval, the stated distribution function at the times gives u back."""
    start, end = stated(on, torch.tensor(on.interval, dtype=torch.float64))
    reached = (stated(on, sampling(strata(), on)) - start) / (end - start)
    torch.testing.assert_close(reached, strata(), rtol=0, atol=1e-6)


def test_every_law_is_stated() -> None:
    assert {*STATED, *POINTS} == set(LAWS)


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("law", STATED)
def test_a_law_is_the_one_that_it_states(law: str, path: str, cut: bool) -> None:
    sampling, on = built(law, path)
    on = on.cut(start=0.3, end=0.6) if cut else on
    if law != "karras" or bounded(on):
        check_law(sampling, STATED[law], on)


@pytest.mark.parametrize("path", PATHS)
def test_the_start_is_the_first_time_of_the_interval(path: str) -> None:
    sampling, on = built("start", path)
    for used in (on, on.cut(start=0.3)):
        assert (sampling(strata(), used) == used.interval[0]).all()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("law", [law for law in LAWS if law not in ("start", "karras")])
def test_nothing_is_heaped_up_at_an_end(law: str, path: str) -> None:
    """A law that reaches beyond the interval is truncated, not clamped."""
    sampling, on = built(law, path)
    narrow = on.cut(start=0.3, end=0.6)
    t = sampling(strata(), narrow)
    assert len(t.unique()) == len(t)
    assert t[0] < 0.31
    assert t[-1] > 0.59


@pytest.mark.parametrize("name", LAWS)
def test_a_misspelt_option_is_refused(name: str) -> None:
    with pytest.raises(TypeError):
        declare(name, sdt=1.0).build()


def test_uniform_is_uniform() -> None:
    sampling, linear = built("uniform", "linear")
    torch.testing.assert_close(sampling(strata(), linear), strata())


def test_linear_uniform_is_uniform_on_the_linear_path() -> None:
    sampling, linear = built("linear_uniform", "linear")
    torch.testing.assert_close(sampling(strata(), linear), strata())


@pytest.mark.parametrize("path", ["vp", "trigonometric", "edm"])
def test_linear_uniform_gives_the_log_snr_of_the_linear_path(path: str) -> None:
    sampling, on = built("linear_uniform", path)
    level = (-on.log_snr(sampling(strata(), on)) / 2).exp()
    first, last = (-on.log_snr(torch.tensor(on.interval, dtype=torch.float64)) / 2).exp()
    linear = 1 / (1 + first) + strata() * (1 / (1 + last) - 1 / (1 + first))
    torch.testing.assert_close(1 / (1 + level), linear, rtol=0, atol=1e-9)


def test_logit_normal_has_its_density() -> None:
    sampling = declare("logit_normal", mean=0.4, std=0.8).build()
    t = sampling(strata(), declare_path("linear").build())
    expected = stats.norm.cdf((t.logit().numpy() - 0.4) / 0.8)
    torch.testing.assert_close(torch.from_numpy(expected), strata(), rtol=0, atol=1e-9)


@pytest.mark.parametrize("path", ["edm", "vp", "linear"])
def test_lognormal_gives_the_same_noise_levels_on_every_path(path: str) -> None:
    sampling = declare("lognormal", mean=-1.2, std=1.2).build()
    on = declare_path(path).build()
    level = (-on.log_snr(sampling(strata(), on)) / 2)[200:-200]
    expected = stats.norm.ppf(1 - strata()[200:-200].numpy()) * 1.2 - 1.2
    torch.testing.assert_close(level, torch.from_numpy(expected), rtol=0, atol=0.02)


def test_karras_levels_are_those_of_the_grid() -> None:
    on = declare_path("edm").build()
    u = torch.linspace(0, 1, 19, dtype=torch.float64)
    level = on.coefficients(declare("karras").build()(u, on)).sigma
    rho = 7
    roots = 80 ** (1 / rho) + u * (0.002 ** (1 / rho) - 80 ** (1 / rho))
    torch.testing.assert_close(level, roots**rho, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("scale", [-1.0, 0.0, 0.7, 1.29])
def test_mode_sampling_is_the_papers_map(scale: float) -> None:
    """2403.03206, equation 20, whose time runs from data to noise: ``1 - f`` rises with u here."""
    t = declare("mode", scale=scale).build()(strata(), declare_path("linear").build())
    u = 1 - strata()
    papers = 1 - u - scale * (torch.cos(math.pi / 2 * u) ** 2 - 1 + u)
    torch.testing.assert_close(t, papers, rtol=0, atol=1e-9)


@pytest.mark.parametrize("law", ["uniform", "logit_normal", "mode"])
def test_a_shift_multiplies_the_noise_level_of_the_linear_path(law: str) -> None:
    linear = declare_path("linear").build()
    plain, moved = (declare(law, shift=s).build()(strata(), linear) for s in (1.0, 3.0))
    levels = [linear.coefficients(t).noise_level for t in (plain, moved)]
    torch.testing.assert_close(levels[1], 3 * levels[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("law", "options"),
    [
        ("uniform", {"shift": 0.0}),
        ("logit_normal", {"std": 0.0}),
        ("lognormal", {"std": -1.0}),
        ("mode", {"scale": 2.0}),
        ("karras", {"rho": 0.0}),
    ],
)
def test_an_impossible_option_is_refused(law: str, options: dict[str, float]) -> None:
    ((option, value),) = options.items()
    with pytest.raises(ValueError, match=f"got {option}={value}"):
        declare(law, **options).build()
