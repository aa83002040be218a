"""The solvers, declared: what each costs and on which grid it runs. Readable without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.declarations import nearest
from bench.errors import InputError, RefusedNfeError

Family = Literal["fixed", "adaptive", "exponential", "consistency"]


@dataclass(frozen=True)
class Solver:
    """A solver's declaration.

    Attributes:
        name: key in a config.
        title: name in tables and figures.
        family: ``fixed`` and ``adaptive`` run through torchdiffeq; ``exponential`` integrates the
            linear part exactly in log_snr; ``consistency`` maps noise to data directly.
        grid: ``uniform_t``, ``uniform_log_snr``, ``karras``, or ``adaptive``.
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
        }[self.family]

    def intervals_for(self, nfe: int) -> int:
        """Intervals that spend exactly ``nfe`` evaluations.

        Raises:
            RefusedNfeError: no number of intervals does, or the cost depends on the data.
        """
        if self.stages is None:
            raise RefusedNfeError(
                f"{self.name} takes a tolerance: its evaluations depend on the data"
            )
        if nfe < 1 or nfe % self.stages:
            raise RefusedNfeError(
                f"{self.name} spends {self.stages} evaluations an interval and cannot spend {nfe}"
            )
        return nfe // self.stages


_ALL = (
    Solver("euler", "Euler", "fixed", "uniform_t", 1, 1, "torchdiffeq"),
    Solver("midpoint", "Midpoint", "fixed", "uniform_t", 2, 2, "torchdiffeq"),
    Solver("heun2", "Heun", "fixed", "uniform_t", 2, 2, "torchdiffeq"),
    Solver("rk4", "RK4 (3/8 rule)", "fixed", "uniform_t", 4, 4, "torchdiffeq"),
    Solver("dopri5", "Dormand-Prince 5(4)", "adaptive", "adaptive", None, 5, "torchdiffeq"),
    Solver("ddim", "DDIM", "exponential", "uniform_log_snr", 1, 1, "2010.02502"),
    Solver("dpmpp_2m", "DPM-Solver++ 2M", "exponential", "uniform_log_snr", 1, 2, "2211.01095"),
    Solver("consistency", "Consistency", "consistency", "karras", 1, None, "2303.01469"),
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
