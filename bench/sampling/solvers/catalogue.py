"""The solvers, declared: cost, grid and order of convergence. Readable without torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from bench.errors import InputError, RefusedNfeError
from bench.registry import aside, nearest

Family = Literal["fixed", "adaptive", "exponential", "stochastic", "consistency", "flow_map"]
Sampler = Literal["ode", "consistency", "flow_map"]

GRIDS = (
    *("uniform_t", "quadratic_t", "shifted_t"),
    *("uniform_log_snr", "karras", "edm_levels"),
)
"""Grids that any solver which runs on one can be given."""

ADAPTED = "adapted"
"""A grid made for a model, of intervals of equal local error (``fixed``, ``exponential``)."""

SEARCHED = "searched"
"""Times of consistency sampling that are searched for a model."""

OWN = "own"
"""In a list of grids: the one that a solver, or a formulation, names itself."""

ADAPTIVE = "adaptive"
"""In place of a grid: the times are chosen as the solver goes."""


@dataclass(frozen=True)
class Solver:
    """A solver's declaration.

    Attributes:
        name: key in a config.
        title: name in tables and figures.
        family: ``fixed`` and ``adaptive`` run through torchdiffeq; ``exponential`` and
            ``stochastic`` see a model's estimate of the data and a path's noise levels;
            ``consistency`` maps noise to data directly; ``flow_map`` leaps from time to time.
        grid: a name of ``bench.sampling.solvers.grids``, or ``adaptive``; solvers of the family
            ``fixed`` run on the grid that a formulation names instead, where it names one.
        cost: evaluations that a number of intervals takes, rising; None where it depends on the
            data.
        order: order of convergence of the end point in the number of intervals, start-up
            included (the weak order of stochastic solvers); None where it does not apply.
        module: file of ``bench/sampling/solvers`` that implements it; its code belongs to a cell's
            digest.
        reference: where it is published or implemented.
        equal_steps: whether its coefficients hold for equal steps of time only.
    """

    name: str
    title: str
    family: Family
    grid: str
    cost: Callable[[int], int] | None
    order: int | None
    module: str
    reference: str
    equal_steps: bool = False

    @property
    def sampler(self) -> Sampler:
        """Which formulations it samples, by their ``sampler``."""
        if self.family == "consistency" or self.family == "flow_map":
            return self.family
        return "ode"

    @property
    def stochastic(self) -> bool:
        """Whether it adds noise of its own on the way, so that two solves differ."""
        return self.family in ("stochastic", "consistency")

    def runs_on(self, grid: str) -> bool:
        """Whether the solver can be given a grid; always its own, even where it has no other."""
        if grid == OWN:
            return True
        if self.equal_steps:
            return grid == "uniform_t"
        if grid == ADAPTED:
            return self.family in ("fixed", "exponential")
        if grid == SEARCHED:
            return self.family == "consistency"
        return self.family != "adaptive"

    @property
    def signature(self) -> list[object]:
        """What a cell's digest holds of the declaration, beside the code."""
        costs = None if self.cost is None else [self.cost(n) for n in range(1, 5)]
        return [self.family, self.grid, costs, self.order, self.equal_steps]

    def intervals_for(self, nfe: int, evaluations: int = 1) -> int:
        """Intervals that spend exactly ``nfe`` evaluations of the network.

        Args:
            nfe: evaluations to be spent.
            evaluations: what one evaluation of the model costs; 2 under guidance.

        Raises:
            RefusedNfeError: no number of intervals does, or the cost depends on the data.
        """
        if self.cost is None:
            raise RefusedNfeError(
                f"{self.name} takes a tolerance: its evaluations depend on the data"
            )
        low, high = 0, max(nfe, 0) + 1
        while high - low > 1:  # the largest number of intervals that costs at most nfe
            middle = (low + high) // 2
            low, high = (middle, high) if self.spends(middle, evaluations) <= nfe else (low, middle)
        if low == 0 or self.spends(low, evaluations) != nfe:
            possible = ", ".join(str(self.spends(n, evaluations)) for n in (1, 2, 3))
            guided = " under guidance" if evaluations > 1 else ""
            raise RefusedNfeError(
                f"{self.name} spends {possible} ... evaluations{guided} and cannot spend {nfe}"
            )
        return low

    def spends(self, intervals: int, evaluations: int = 1) -> int:
        """Evaluations of the network that a number of intervals takes; of fixed cost only."""
        assert self.cost is not None
        return self.cost(intervals) * evaluations


def _times(stages: int) -> Callable[[int], int]:
    return lambda intervals: stages * intervals


def _explicit_adams(intervals: int) -> int:
    """Three intervals of RK4 to start; torchdiffeq keeps the first stage of each for the rest."""
    return 4 * intervals if intervals < 3 else intervals + 6


def _last_is_euler(intervals: int) -> int:
    """Two an interval, without the last corrector."""
    return 2 * intervals - 1


_ODE = "ode"
_EXPONENTIAL = "exponential"
_EDM = "edm"
_STOCHASTIC = "stochastic"


def _fixed(name: str, title: str, cost: Callable[[int], int], order: int) -> Solver:
    return Solver(name, title, "fixed", "uniform_t", cost, order, _ODE, "torchdiffeq")


def _adaptive(name: str, title: str, order: int) -> Solver:
    return Solver(name, title, "adaptive", ADAPTIVE, None, order, _ODE, "torchdiffeq")


def _exponential(name: str, title: str, stages: int, order: int, reference: str) -> Solver:
    grid, cost = "uniform_log_snr", _times(stages)
    return Solver(name, title, "exponential", grid, cost, order, _EXPONENTIAL, reference)


def _stochastic(name: str, title: str, reference: str) -> Solver:
    grid, cost = "uniform_log_snr", _times(1)
    return Solver(name, title, "stochastic", grid, cost, 1, _STOCHASTIC, reference)


_ALL = (
    _fixed("euler", "Euler", _times(1), 1),
    _fixed("midpoint", "Midpoint", _times(2), 2),
    _fixed("heun2", "Heun", _times(2), 2),
    _fixed("heun3", "Heun 3", _times(3), 3),
    _fixed("rk4", "RK4 (3/8 rule)", _times(4), 4),
    replace(_fixed("explicit_adams", "Adams-Bashforth 4", _explicit_adams, 4), equal_steps=True),
    _adaptive("adaptive_heun", "Heun-Euler 2(1)", 2),
    _adaptive("fehlberg2", "Fehlberg 2(1)", 2),
    _adaptive("bosh3", "Bogacki-Shampine 3(2)", 3),
    _adaptive("dopri5", "Dormand-Prince 5(4)", 5),
    _adaptive("dopri8", "Dormand-Prince 8(7)", 8),
    _adaptive("implicit_adams", "Adams-Bashforth-Moulton 5", 5),
    _exponential("ddim", "DDIM", 1, 1, "2010.02502"),
    _exponential("dpmpp_2s", "DPM-Solver++ 2S", 2, 2, "2211.01095"),
    _exponential("dpmpp_2m", "DPM-Solver++ 2M", 1, 2, "2211.01095"),
    _exponential("dpmpp_3m", "DPM-Solver++ 3M", 1, 2, "2211.01095"),
    _exponential("unipc", "UniPC 2", 1, 3, "2302.04867"),
    _exponential("eab3", "Exponential Adams-Bashforth 3", 1, 2, "2204.13902"),
    Solver("edm_heun", "EDM Heun", "exponential", "karras", _last_is_euler, 2, _EDM, "2206.00364"),
    Solver(
        "edm_churn",
        "EDM Heun, churned",
        "stochastic",
        "karras",
        _last_is_euler,
        2,
        _EDM,
        "2206.00364",
    ),
    _stochastic("euler_maruyama", "Euler-Maruyama", "2011.13456"),
    _stochastic("ancestral", "Ancestral", "2006.11239"),
    Solver(
        "consistency",
        "Consistency",
        "consistency",
        "edm_levels",
        _times(1),
        None,
        "consistency",
        "2303.01469",
    ),
    Solver(
        "flow_map",
        "Flow map",
        "flow_map",
        "uniform_t",
        _times(1),
        None,
        "flow_map",
        "2505.13447",
    ),
)

SOLVERS: dict[str, Solver] = aside("a cell's digest holds its solver's declaration and code")(
    {solver.name: solver for solver in _ALL}
)


def solver(name: str) -> Solver:
    """The declaration of ``name``.

    Raises:
        InputError: no such solver.
    """
    if name not in SOLVERS:
        raise InputError(f"unknown solver {name!r}; {nearest(name, tuple(SOLVERS))}")
    return SOLVERS[name]
