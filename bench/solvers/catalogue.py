"""The solvers, declared: what each costs and on which grid it runs. Readable without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.declarations import nearest
from bench.errors import InputError, RefusedNfeError

Family = Literal["fixed", "adaptive", "exponential", "consistency", "flow_map"]
Sampler = Literal["ode", "consistency", "flow_map"]


@dataclass(frozen=True)
class Solver:
    """A solver's declaration.

    Attributes:
        name: key in a config.
        title: name in tables and figures.
        family: ``fixed`` and ``adaptive`` run through torchdiffeq; ``exponential`` integrates the
            linear part exactly in log_snr; ``consistency`` maps noise to data directly;
            ``flow_map`` leaps from time to time.
        grid: a name of ``bench.solvers.grids``, or ``adaptive``; solvers of the family ``fixed``
            run on the grid that a formulation names instead, where it names one.
        stages: network evaluations an interval; None where the cost depends on the data.
        order: classical order of convergence; None where it does not apply.
        reference: where it is published or implemented.
    """

    name: str
    title: str
    family: Family
    grid: str
    stages: int | None
    order: int | None
    reference: str

    @property
    def module(self) -> str:
        """The module that implements the family; its code belongs to a cell's digest."""
        return {
            "fixed": "bench.solvers.ode",
            "adaptive": "bench.solvers.ode",
            "exponential": "bench.solvers.exponential",
            "consistency": "bench.solvers.consistency",
            "flow_map": "bench.solvers.flow_map",
        }[self.family]

    @property
    def sampler(self) -> Sampler:
        """Which formulations it samples, by :attr:`bench.declarations.Formulation.sampler`."""
        if self.family == "consistency" or self.family == "flow_map":
            return self.family
        return "ode"

    def intervals_for(self, nfe: int, evaluations: int = 1) -> int:
        """Intervals that spend exactly ``nfe`` evaluations of the network.

        Args:
            nfe: evaluations to be spent.
            evaluations: what one evaluation of the model costs; 2 under guidance.

        Raises:
            RefusedNfeError: no number of intervals does, or the cost depends on the data.
        """
        if self.stages is None:
            raise RefusedNfeError(
                f"{self.name} takes a tolerance: its evaluations depend on the data"
            )
        spends = self.stages * evaluations
        if nfe < 1 or nfe % spends:
            where = "a guided interval" if evaluations > 1 else "an interval"
            raise RefusedNfeError(
                f"{self.name} spends {spends} evaluations {where} and cannot spend {nfe}"
            )
        return nfe // spends


_ALL = (
    Solver("euler", "Euler", "fixed", "uniform_t", 1, 1, "torchdiffeq"),
    Solver("midpoint", "Midpoint", "fixed", "uniform_t", 2, 2, "torchdiffeq"),
    Solver("heun2", "Heun", "fixed", "uniform_t", 2, 2, "torchdiffeq"),
    Solver("rk4", "RK4 (3/8 rule)", "fixed", "uniform_t", 4, 4, "torchdiffeq"),
    Solver("dopri5", "Dormand-Prince 5(4)", "adaptive", "adaptive", None, 5, "torchdiffeq"),
    Solver("ddim", "DDIM", "exponential", "uniform_log_snr", 1, 1, "2010.02502"),
    Solver("dpmpp_2m", "DPM-Solver++ 2M", "exponential", "uniform_log_snr", 1, 2, "2211.01095"),
    Solver("consistency", "Consistency", "consistency", "karras", 1, None, "2303.01469"),
    Solver("flow_map", "Flow map", "flow_map", "uniform_t", 1, None, "2505.13447"),
)

SOLVERS: dict[str, Solver] = {solver.name: solver for solver in _ALL}


def solver(name: str) -> Solver:
    """The declaration of ``name``.

    Raises:
        InputError: no such solver.
    """
    if name not in SOLVERS:
        raise InputError(f"unknown solver {name!r}; {nearest(name, tuple(SOLVERS))}")
    return SOLVERS[name]
