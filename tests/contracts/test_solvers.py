"""Every solver: evaluations, the interval, memory, the order of convergence, and one flow."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Self

import pytest
import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from bench.errors import BudgetError, InputError, RefusedNfeError
from bench.formulations.grammar import path as declare
from bench.models.exact import ExactModel
from bench.models.meter import counted
from bench.models.path_model import PathModel
from bench.models.paths import Path
from bench.models.paths.edm import Edm
from bench.models.paths.linear import Linear
from bench.models.paths.vp import Vp
from bench.registry import discover
from bench.sampling import convergence
from bench.sampling.banks import solver_noise
from bench.sampling.order import order
from bench.sampling.path_change import cut_to
from bench.sampling.sample import Request, sample, solve
from bench.sampling.solvers.catalogue import SOLVERS, Solver, solver
from bench.sampling.solvers.karras import karras_levels
from tests.fields import exact_model, ring

INTERVALS = (1, 2, 3, 7, 16, 61)
"""61 is a number of intervals at which torchdiffeq's own step_size takes one too many."""

COUNTED = [s for s in SOLVERS.values() if s.cost is not None]
FLOWS = [s for s in SOLVERS.values() if s.family != "flow_map"]
ORDERED = [s for s in FLOWS if s.order is not None and not s.stochastic]
PATHS = sorted(discover("paths"))


def normal(count: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 2, generator=generator, dtype=dtype)


class Counter(nn.Module):
    """A network that counts its samples itself."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((), 0.3))
        self.samples = 0

    def forward(self, x: Tensor, condition: Tensor, label: Tensor | None) -> Tensor:
        self.samples += len(x)
        return self.weight * x.tanh()


def small_model(declared: Solver) -> tuple[PathModel, Counter]:
    counter = Counter()
    if declared.family == "consistency":
        return PathModel(counter, Edm(), "consistency", 0.7), counter
    return PathModel(counter, Vp(), "noise", 0.7), counter


def check_nfe(declared: Solver, nfe: int, batch_size: int) -> None:
    """Counted by the budget == counted by the network == requested."""
    model, counter = small_model(declared)
    noise = normal(10)
    solution = sample(model, noise, Request(declared, nfe), batch_size, lambda i, part: noise[part])
    assert solution.nfe == solution.nfe_min == solution.nfe_max == nfe
    assert counter.samples == nfe * len(noise)


@pytest.mark.parametrize("declared", COUNTED, ids=lambda s: s.name)
def test_declared_evaluations_are_spent_exactly(declared: Solver) -> None:
    for intervals in INTERVALS:
        check_nfe(declared, declared.spends(intervals), batch_size=4)


@pytest.mark.parametrize("declared", COUNTED, ids=lambda s: s.name)
def test_any_other_number_of_evaluations_is_refused(declared: Solver) -> None:
    possible = {declared.spends(intervals) for intervals in range(1, 33)}
    model, counter = small_model(declared)
    for nfe in set(range(33)) - possible:
        with pytest.raises(RefusedNfeError, match=f"cannot spend {nfe}"):
            sample(
                model,
                torch.zeros(2, 2),
                Request(declared, nfe),
                2,
                lambda i, part: torch.zeros(2, 2),
            )
    assert counter.samples == 0


def test_adaptive_solvers_refuse_an_nfe_and_take_a_tolerance() -> None:
    with pytest.raises(RefusedNfeError, match="tolerance"):
        solver("dopri5").intervals_for(8)
    # One evaluation at the start, then those of each attempted step.
    stages = {"adaptive_heun": 1, "fehlberg2": 2, "bosh3": 3, "dopri5": 6, "dopri8": 13}
    for name, of_a_step in stages.items():
        model, counter = small_model(solver(name))
        solution = sample(model, normal(10), Request(solver(name), tolerance=1e-3), 4)
        assert counter.samples == pytest.approx(solution.nfe * 10)
        assert solution.nfe_min <= solution.nfe <= solution.nfe_max
        assert (solution.nfe_min - 1) % of_a_step == 0, name


def test_a_tighter_tolerance_is_closer() -> None:
    """For every solver that takes one, the errors on an exact flow follow it."""
    model = ExactModel(ring(), Linear())
    z = normal(8, 4, torch.float64)
    with counted():
        fine = solve(model, z, Request(SOLVERS["dopri8"], tolerance=1e-9))
        for declared in SOLVERS.values():
            if declared.family != "adaptive":
                continue
            ends = [solve(model, z, Request(declared, tolerance=t)) for t in (1e-2, 1e-4)]
            loose, tight = (float((end - fine).square().mean().sqrt()) for end in ends)
            assert tight < 5e-3, declared.name
            assert tight < loose / 5, declared.name


def test_an_unknown_solver_names_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'heun2'"):
        solver("huen2")


class Asked(PathModel):
    """A mixture's exact flow that notes every time at which it is asked, as it is asked.

    In the place of a network's: consistency sampling takes nothing else.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(nn.Identity(), path, "v", 1.0)
        self.mixture = ring()
        self.times: list[float] = []

    def part(self, samples: slice) -> Self:
        return self

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        self.times += t.tolist()
        return self.mixture.velocity(x, self.path.coefficients(t))

    def data(self, x: Tensor, t: Tensor) -> Tensor:
        self.times += t.tolist()
        return self.mixture.posterior_mean_data(x, self.path.coefficients(t))


def check_inside(declared: Solver, path: Path) -> None:
    """Nothing is evaluated outside the interval, and the end point is finite."""
    flow, z = Asked(path), normal(3)
    if declared.cost is None:
        request = Request(declared, tolerance=1e-2)
    else:
        request = Request(declared, declared.spends(12))
    end = solve(flow, path.start_scale() * z, request, lambda i: z)
    low, high = path.interval
    assert low <= min(flow.times)
    assert max(flow.times) <= high
    assert end.isfinite().all()


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("declared", FLOWS, ids=lambda s: s.name)
def test_nothing_is_evaluated_outside_the_interval(declared: Solver, name: str) -> None:
    check_inside(declared, declare(name).build())


@pytest.mark.parametrize("name", ["linear", "trigonometric"])
@pytest.mark.parametrize("declared", [s for s in FLOWS if s.cost is not None], ids=lambda s: s.name)
def test_one_interval_from_pure_noise_to_pure_data_is_finite(declared: Solver, name: str) -> None:
    flow, z = Asked(declare(name).build()), normal(3)
    end = solve(flow, z, Request(declared, declared.spends(1)), lambda i: z)
    assert end.isfinite().all()


class PeakMemory(TorchDispatchMode):
    """The most bytes that tensors made inside have held at once."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._held: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else (made,):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                self._held[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())
        self._held = {key: held for key, held in self._held.items() if not held[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self._held.values()))
        return made


class Fading(PathModel):
    """A flow without a network: every coordinate of the data is a tenth of the state's."""

    def __init__(self) -> None:
        super().__init__(nn.Identity(), Vp(), "v", 1.0)

    def part(self, samples: slice) -> Self:
        return self

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        return -x

    def data(self, x: Tensor, t: Tensor) -> Tensor:
        return 0.1 * x


def check_memory(declared: Solver) -> None:
    """Eight times the intervals hold no more states."""
    start = torch.ones(64, 512)
    peaks = []
    for intervals in (8, 64):
        request = Request(declared, declared.spends(intervals))
        with PeakMemory() as memory:
            solve(Fading(), start, request, lambda i: torch.zeros_like(start))
        peaks.append(memory.peak)
    assert peaks[0] >= start.untyped_storage().nbytes()
    assert peaks[1] <= peaks[0] + start.untyped_storage().nbytes() / 2


@pytest.mark.parametrize(
    "declared", [s for s in COUNTED if s.family != "flow_map"], ids=lambda s: s.name
)
def test_memory_does_not_grow_with_the_evaluations(declared: Solver) -> None:
    check_memory(declared)


@pytest.mark.parametrize(
    ("declared", "name"),
    [
        (declared, name)
        for declared in ORDERED
        for name in ("linear", "vp", "trigonometric")
        if name != "trigonometric" or declared.family != "exponential"
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_order_of_convergence(declared: Solver, name: str) -> None:
    """Measured on an exact flow, with the start-up that the solver has.

    To exponential integrators the trigonometric path is VP: they do not see time.
    """
    runs = convergence.errors(declare(name).build(), declared)
    assert all(coarse.error > fine.error for coarse, fine in pairwise(runs))
    assert order(runs) == pytest.approx(declared.order, abs=0.2)


@pytest.mark.parametrize("name", [name for name in PATHS if name != "linear"])
def test_euler_on_the_linear_path_is_ddim_on_any_path(name: str) -> None:
    """At the same log_snr points, up to the change of scale between the two paths."""
    ends = []
    z = normal(32, 2, torch.float64)
    for path, declared in ((declare(name).build(), "ddim"), (Linear(), "euler")):
        model = ExactModel(ring(), cut_to(path, (-6.0, 6.0)))
        request = Request(SOLVERS[declared], 11, grid="uniform_log_snr")
        with counted():
            end = solve(model, model.path.start_scale() * z, request)
        last = torch.tensor([model.path.interval[1]], dtype=torch.float64)
        ends.append(end / path.coefficients(last).alpha)
    torch.testing.assert_close(*ends, rtol=0, atol=1e-12)


def test_samples_do_not_depend_on_the_batch_size() -> None:
    model = exact_model(Vp(), ring())
    noise = normal(12, 3)
    for declared in COUNTED:
        if declared.sampler != "ode":
            continue
        request = Request(declared, declared.spends(4))
        whole, parts = (
            sample(model, noise, request, size, lambda i, part: noise[part]).end for size in (12, 5)
        )
        torch.testing.assert_close(whole, parts, rtol=0, atol=1e-5)


@pytest.mark.parametrize("path", [Vp(), Linear()], ids=["vp", "linear"])
def test_every_solver_reaches_the_same_end(path: Path) -> None:
    """One flow, one starting noise: all solvers agree once they are fine enough."""
    model, z = ExactModel(ring(), path), normal(8, 4, torch.float64)
    start = path.start_scale() * z
    with counted():
        fine = solve(model, start, Request(SOLVERS["dopri5"], tolerance=1e-6))
        for declared in COUNTED:
            if declared not in ORDERED:
                continue
            end = solve(model, start, Request(declared, declared.spends(64)))
            allowed = 0.2 if declared.order == 1 else 4e-2
            assert float((end - fine).abs().max()) < allowed, declared.name


def test_consistency_sampling_of_an_exact_function() -> None:
    """With the denoiser of a point mass every number of evaluations ends at the point."""

    class PointMass(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Parameter(torch.zeros(()))

        def forward(self, x: Tensor, condition: Tensor, label: Tensor | None) -> Tensor:
            return torch.full_like(x, 0.25)

    model = PathModel(PointMass(), Edm(), "data", 0.7)
    for nfe in (1, 2, 4):
        request = Request(SOLVERS["consistency"], nfe)
        fresh = [solver_noise(0, "scoring", range(5), (2,), i) for i in range(nfe)]
        end = sample(model, normal(5), request, 5, lambda i, part, of=fresh: of[i][part]).end
        torch.testing.assert_close(end, torch.full((5, 2), 0.25))


def test_levels_of_consistency_sampling_fall_from_the_largest() -> None:
    levels = karras_levels(0.002, 80.0, 4)
    assert levels[0] == 80.0
    assert levels[-1] == 0.002
    assert (levels.diff() < 0).all()
    halfway = ((80 ** (1 / 7) + 0.002 ** (1 / 7)) / 2) ** 7
    assert float(levels[2]) == pytest.approx(halfway)


@pytest.mark.parametrize("declared", SOLVERS.values(), ids=lambda s: s.name)
def test_evaluations_that_nobody_counts_are_refused(declared: Solver) -> None:
    """``sample`` counts for itself; a solver that is driven without a count gets nowhere."""
    (model, _), noise = small_model(declared), normal(3)
    if declared.cost is None:
        request = Request(declared, tolerance=1e-2)
    else:
        request = Request(declared, declared.spends(2))
    with pytest.raises(BudgetError, match="outside a metered region"), torch.no_grad():
        solve(model, noise, request, lambda interval: torch.zeros_like(noise))
