"""Every solver: evaluations counted at the network, order of convergence, and its trust region."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from bench.budget import counted
from bench.errors import InputError, RefusedNfeError
from bench.models import PathModel
from bench.paths import Path
from bench.paths.edm import Edm
from bench.paths.linear import Linear
from bench.paths.vp import Vp
from bench.sampling import Request, sample, solver_noise
from bench.solvers import exponential, grids, ode
from bench.solvers.catalogue import SOLVERS, Solver, solver
from tests.fields import exact_model, ring

WANTED = (1, 2, 3, 4, 7, 8, 16, 61, 64)
"""61 is a number of intervals at which torchdiffeq's own step_size takes one too many."""

FIXED = [s for s in SOLVERS.values() if s.family == "fixed"]
COUNTED = [s for s in SOLVERS.values() if s.family in ("fixed", "exponential")]


class Counter(nn.Module):
    """A network that counts its samples itself, and notes the times it is asked about."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((), 0.3))
        self.samples = 0
        self.conditions: list[float] = []

    def forward(self, x: Tensor, condition: Tensor, label: Tensor | None) -> Tensor:
        self.samples += len(x)
        self.conditions.append(float(condition[0, 0]))
        return self.weight * x.tanh()


def small_model(declared: Solver) -> tuple[PathModel, Counter]:
    counter = Counter()
    if declared.family == "consistency":
        return PathModel(counter, Edm(), "consistency", 0.7), counter
    return PathModel(counter, Vp(), "noise", 0.7), counter


def check_nfe(declared: Solver, nfe: int, batch_size: int) -> None:
    """Counted by the budget == counted by the network == requested."""
    model, counter = small_model(declared)
    noise = torch.randn(10, 2, generator=torch.Generator().manual_seed(0))
    request = Request(declared, nfe)
    solution = sample(model, noise, request, batch_size, lambda i: noise)
    assert solution.nfe == solution.nfe_min == solution.nfe_max == nfe
    assert counter.samples == nfe * len(noise)


@pytest.mark.parametrize(
    "declared", [s for s in SOLVERS.values() if s.stages], ids=lambda s: s.name
)
@pytest.mark.parametrize("nfe", WANTED)
def test_an_nfe_is_spent_exactly_or_refused(declared: Solver, nfe: int) -> None:
    assert declared.stages is not None
    if nfe % declared.stages == 0:
        check_nfe(declared, nfe, batch_size=10)
        check_nfe(declared, nfe, batch_size=4)
    else:
        model, counter = small_model(declared)
        with pytest.raises(RefusedNfeError, match=f"cannot spend {nfe}"):
            sample(model, torch.zeros(2, 2), Request(declared, nfe), 2)
        assert counter.samples == 0


def test_adaptive_solvers_refuse_an_nfe_and_take_a_tolerance() -> None:
    with pytest.raises(RefusedNfeError, match="tolerance"):
        solver("dopri5").intervals_for(8)
    model, counter = small_model(solver("dopri5"))
    noise = torch.randn(10, 2, generator=torch.Generator().manual_seed(0))
    solution = sample(model, noise, Request(solver("dopri5"), tolerance=1e-3), 4)
    assert counter.samples == pytest.approx(solution.nfe * 10)
    assert solution.nfe_min <= solution.nfe <= solution.nfe_max
    # One evaluation at the start, six an attempted step.
    assert (solution.nfe_min - 1) % 6 == 0


def test_an_unknown_solver_names_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'heun2'"):
        solver("huen2")


@pytest.mark.parametrize("name", ["dopri5", "euler", "rk4"])
def test_nothing_is_evaluated_outside_the_interval(name: str) -> None:
    seen: list[float] = []

    def field(x: Tensor, t: Tensor) -> Tensor:
        seen.append(float(t[0]))
        return -x

    start = torch.ones(3, 2)
    if name == "dopri5":
        ode.solve_adaptive(field, start, (0.0, 1.0), name, 1e-6)
    else:
        ode.solve_fixed(field, start, grids.uniform_t(Linear(), 61), name)
    assert min(seen) >= 0
    assert max(seen) <= 1


def test_an_evaluation_outside_would_be_refused() -> None:
    velocity = ode._bounded(lambda x, t: x, torch.tensor([0.0, 1.0]))
    with pytest.raises(ValueError, match="outside"):
        velocity(torch.tensor(1.001), torch.ones(1, 2))


def observed_order(solve: Callable[[int], Tensor], exact: Tensor, counts: tuple[int, int]) -> float:
    """Slope of log error between two numbers of intervals."""
    errors = [float((solve(count) - exact).abs().max()) for count in counts]
    return math.log(errors[0] / errors[1]) / math.log(counts[1] / counts[0])


@pytest.mark.parametrize("declared", FIXED, ids=lambda s: s.name)
def test_order_through_torchdiffeq(declared: Solver) -> None:
    """On an exact mixture's velocity, inside the interval, in float64."""
    mixture, path = ring(), Linear()

    def field(x: Tensor, t: Tensor) -> Tensor:
        return mixture.velocity(x, path.coefficients(t))

    start = torch.randn(16, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    interval = (0.1, 0.8)

    def solve(count: int) -> Tensor:
        grid = torch.linspace(*interval, count + 1, dtype=torch.float64)
        return ode.solve_fixed(field, start, grid, declared.name)

    exact = ode.solve_fixed(
        field, start, torch.linspace(*interval, 1601, dtype=torch.float64), "rk4"
    )
    assert declared.order is not None
    assert observed_order(solve, exact, (100, 200)) == pytest.approx(declared.order, abs=0.2)


@pytest.mark.parametrize("path", [Linear(), Vp()], ids=["linear", "vp"])
@pytest.mark.parametrize("name", ["ddim", "dpmpp_2m"])
def test_order_of_exponential_integrators(name: str, path: Path) -> None:
    mixture, declared = ring(), SOLVERS[name]
    low, high = -3.0, 3.0
    assert declared.order is not None
    order = declared.order

    def solve(count: int, order: int = order) -> Tensor:
        levels = torch.linspace(low, high, count + 1, dtype=torch.float64)
        c = path.coefficients(path.t_of_log_snr(levels))

        def denoiser(x: Tensor, i: int) -> Tensor:
            at = type(c)(*(value[i].expand(len(x)) for value in c if value is not None))
            return mixture.posterior_mean_data(x, at)

        start = torch.randn(16, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        return exponential.solve(denoiser, start, c.alpha, c.sigma, order)

    assert observed_order(solve, solve(6400, 2), (200, 400)) == pytest.approx(order, abs=0.2)


@pytest.mark.parametrize("path", [Vp(), Linear(), Edm()], ids=["vp", "linear", "edm"])
def test_euler_on_the_linear_path_is_ddim_on_any_path(path: Path) -> None:
    """At the same log_snr points, up to the change of scale between the two paths."""
    mixture, linear = ring(), Linear()
    levels = torch.linspace(-6, 6, 12, dtype=torch.float64)
    a, b = (p.coefficients(p.t_of_log_snr(levels)) for p in (path, linear))

    def denoiser(x: Tensor, i: int) -> Tensor:
        at = type(a)(*(value[i].expand(len(x)) for value in a if value is not None))
        return mixture.posterior_mean_data(x, at)

    def field(x: Tensor, t: Tensor) -> Tensor:
        return mixture.velocity(x, linear.coefficients(t))

    z = torch.randn(32, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    on_path = exponential.solve(denoiser, a.sigma[0] * z, a.alpha, a.sigma, order=1)
    on_linear = ode.solve_fixed(field, b.sigma[0] * z, b.alpha, "euler")
    scale = b.alpha[-1] / a.alpha[-1]
    torch.testing.assert_close(on_path * scale, on_linear, rtol=0, atol=1e-12)


def test_samples_do_not_depend_on_the_batch_size() -> None:
    model = exact_model(Vp(), ring())
    noise = torch.randn(12, 2, generator=torch.Generator().manual_seed(3))
    for name in ("euler", "rk4", "ddim", "dpmpp_2m"):
        request = Request(SOLVERS[name], 8)
        whole, parts = (sample(model, noise, request, size).end for size in (12, 5))
        torch.testing.assert_close(whole, parts, rtol=0, atol=1e-6)


@pytest.mark.parametrize("path", [Vp(), Linear()], ids=["vp", "linear"])
def test_every_solver_reaches_the_same_end(path: Path) -> None:
    """One flow, one starting noise: all solvers agree once they are fine enough."""
    model = exact_model(path, ring())
    noise = torch.randn(8, 2, generator=torch.Generator().manual_seed(4))
    fine = sample(model, noise, Request(SOLVERS["dopri5"], tolerance=1e-6), 8).end
    for name, nfe, allowed in (("heun2", 512, 5e-3), ("rk4", 512, 5e-3), ("dpmpp_2m", 256, 2e-2)):
        end = sample(model, noise, Request(SOLVERS[name], nfe), 8).end
        assert float((end - fine).abs().max()) < allowed, name


def test_fixed_solvers_keep_the_end_alone() -> None:
    """Memory does not grow with the number of evaluations: two states are returned, not 65."""
    kept: list[int] = []

    def field(x: Tensor, t: Tensor) -> Tensor:
        kept.append(x.untyped_storage().nbytes())
        return -x

    end = ode.solve_fixed(field, torch.ones(4, 2), grids.uniform_t(Linear(), 64), "euler")
    assert end.untyped_storage().nbytes() == 2 * kept[0]


def test_consistency_sampling_of_an_exact_function() -> None:
    """With the denoiser of a point mass every number of evaluations ends at the point."""

    class PointMass(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Parameter(torch.zeros(()))

        def forward(self, x: Tensor, condition: Tensor, label: Tensor | None) -> Tensor:
            return torch.full_like(x, 0.25)

    model = PathModel(PointMass(), Edm(), "data", 0.7)
    noise = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    for nfe in (1, 2, 4):
        request = Request(SOLVERS["consistency"], nfe)
        end = sample(model, noise, request, 5, lambda i: solver_noise(0, "scoring", 5, (2,), i)).end
        torch.testing.assert_close(end, torch.full((5, 2), 0.25))


def test_levels_of_consistency_sampling_fall_from_the_largest() -> None:
    levels = karras.karras_levels(0.002, 80.0, 4)
    assert levels[0] == 80.0
    assert levels[-1] == 0.002
    assert (levels.diff() < 0).all()
    halfway = ((80 ** (1 / 7) + 0.002 ** (1 / 7)) / 2) ** 7
    assert float(levels[2]) == pytest.approx(halfway)


def test_counting_region_is_needed() -> None:
    model, _ = small_model(solver("euler"))
    with counted() as passes, torch.no_grad():
        model.velocity(torch.zeros(3, 2), torch.full((3,), 0.5))
    assert passes.forwards == 3
