"""The adapter of torchdiffeq: exact grids, exact times, nothing that waits for a device."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.models.paths.linear import Linear
from bench.sampling.solvers import grids, ode
from bench.sampling.solvers.catalogue import SOLVERS

FIXED = [s.name for s in SOLVERS.values() if s.family == "fixed"]
UNIT = (0.0, 1.0)


class Asked:
    """``dx/dt = -x``, noting the times."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        assert t.dtype == torch.float64
        assert t.shape == (1,)
        self.times.append(float(t[0]))
        return -x


@pytest.mark.parametrize("method", FIXED)
def test_times_are_those_of_the_grid_to_the_last_digit(method: str) -> None:
    """A state in float32 does not round them: 0.1 would become 0.10000000149."""
    grid, field = grids.uniform_t(Linear(), 10), Asked()
    end = ode.solve_fixed(field, torch.ones(3, 2), grid, method)
    assert set(grid[:-1].tolist()) <= set(field.times)
    assert max(field.times) <= 1
    assert end.dtype == torch.float32
    torch.testing.assert_close(end, torch.full((3, 2), 0.3679), rtol=0, atol=0.03)


def test_stages_are_at_the_times_of_their_method() -> None:
    shares = {
        "euler": [0],
        "midpoint": [0, 1 / 2],
        "heun2": [0, 1],
        "heun3": [0, 1 / 3, 2 / 3],
        "rk4": [0, 1 / 3, 2 / 3, 1],
    }
    for method, share in shares.items():
        field = Asked()
        ode.solve_fixed(
            field, torch.ones(1, 1), torch.tensor([0.0, 0.5], dtype=torch.float64), method
        )
        assert field.times == pytest.approx([0.5 * s for s in share]), method


@pytest.mark.parametrize("method", FIXED)
def test_no_number_is_read_from_the_state_s_device(method: str) -> None:
    """On the meta device tensors hold no numbers: whoever waits for one fails. Times are read."""
    start = torch.ones(3, 2, device="meta")
    end = ode.solve_fixed(lambda x, t: -x * t.item(), start, grids.uniform_t(Linear(), 8), method)
    assert end.shape == (3, 2)


@pytest.mark.parametrize("method", ["explicit_adams", "implicit_adams"])
def test_adams_methods_refuse_unequal_steps(method: str) -> None:
    unequal = torch.tensor([0.0, 0.1, 0.3, 0.7, 1.0], dtype=torch.float64)
    solve = ode.solve_fixed if method == "explicit_adams" else ode.solve_constant
    with pytest.raises(ValueError, match="equal steps"):
        solve(Asked(), torch.ones(1, 1), unequal, method)


def test_an_evaluation_outside_is_refused() -> None:
    held = ode._OnHostTimes(Asked(), *UNIT)
    with pytest.raises(ValueError, match="outside"):
        held(torch.tensor(1.001, dtype=torch.float64), torch.ones(1, 1))


def test_a_stage_that_misses_the_end_by_rounding_is_taken_at_the_end() -> None:
    """0.3 + (0.999 - 0.3) is 0.9990000000000001 in float64."""
    grid, field = torch.tensor([0.0, 0.3, 0.999], dtype=torch.float64), Asked()
    assert float(grid[1] + (grid[2] - grid[1])) > 0.999
    ode.solve_fixed(field, torch.ones(1, 1), grid, "heun2")
    assert max(field.times) == 0.999


def test_an_adaptive_solver_that_left_the_interval_is_refused() -> None:
    """Without ``step_t`` torchdiffeq integrates past the end."""
    times = torch.tensor(UNIT, dtype=torch.float64)
    with pytest.raises(ValueError, match="outside"):
        ode._with_error_control(Asked(), torch.ones(1, 1), times, "dopri5", 1e-6, {})


@pytest.mark.parametrize("method", ["adaptive_heun", "fehlberg2", "bosh3", "dopri5", "dopri8"])
def test_forced_steps_are_those_of_the_grid(method: str) -> None:
    """Every step accepted, none added: the evaluations are those of the grid's intervals."""
    stages = {"adaptive_heun": 1, "fehlberg2": 2, "bosh3": 3, "dopri5": 6, "dopri8": 13}
    grid, field = torch.tensor([0.0, 0.2, 0.3, 1.0], dtype=torch.float64), Asked()
    ode.solve_constant(field, torch.ones(1, 1, dtype=torch.float64), grid, method)
    assert len(field.times) == 1 + 3 * stages[method]
    for time in grid.tolist():
        assert min(abs(asked - time) for asked in field.times) < 1e-12


def test_dense_states_are_those_at_the_times_asked_for() -> None:
    grid = torch.linspace(0, 1, 101, dtype=torch.float64)
    states = ode.solve_dense(lambda x, t: -x, torch.ones(1, 1, dtype=torch.float64), grid, "rk4")
    torch.testing.assert_close(states[:, 0, 0], (-grid).exp(), rtol=0, atol=1e-9)
    end = ode.solve_fixed(lambda x, t: -x, torch.ones(1, 1, dtype=torch.float64), grid, "rk4")
    assert torch.equal(end, states[-1])


def test_a_tighter_tolerance_takes_more_intervals_of_implicit_adams() -> None:
    assert [ode.adams_intervals(t) for t in (1e-1, 1e-3, 1e-5)] == [7, 16, 41]
