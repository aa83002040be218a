"""What a model has spent, counted by the code that spends.

Every network registers :func:`watch`; from then on a forward outside a metered region raises
:class:`~bench.errors.BudgetError`. Inside a region the forwards and backwards are counted by hooks
as they happen; a forward with a Jacobian-vector product counts two. FLOPs come from torch's counter
(:mod:`bench.training.flops`) on the real step, measured once for each distinct step; a later step
under the same name that evaluates the network a different number of times raises.

Three units can carry a budget: ``flops``, ``network_passes`` (a forward counts 1, a forward with
its backward 3, per sample) and ``device_seconds`` (seconds a step was calibrated to take). The
ledger records all of them, whichever unit the plan is in.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from bench.errors import BudgetError
from bench.models.meter import counted
from bench.training.flops import counter


@dataclass
class Charge:
    """What one kind of work has cost so far.

    Attributes:
        updates: optimiser updates.
        samples: samples consumed (training) or produced (pairs).
        forwards, backwards: network evaluations, in samples.
        flops: floating-point operations by torch's counter.
        planned_seconds: steps times their calibrated seconds; zero without a calibration.
        device_seconds: CPU seconds of the process, or GPU seconds between synchronisations.
        coupling_seconds: the part of device_seconds that assigned noise to data.
        drawing_seconds: the part of device_seconds that made batches of noise and data; where
            training data are unlimited, they are drawn then.
        wall_seconds: seconds on the clock.
    """

    updates: int = 0
    samples: int = 0
    forwards: int = 0
    backwards: int = 0
    flops: int = 0
    planned_seconds: float = 0.0
    device_seconds: float = 0.0
    coupling_seconds: float = 0.0
    drawing_seconds: float = 0.0
    wall_seconds: float = 0.0

    @property
    def network_passes(self) -> int:
        """Forwards count 1; a backward, as costly as two forwards, counts 2."""
        return self.forwards + 2 * self.backwards

    def spent(self, unit: str) -> float:
        """The charge in a budget's ``unit``."""
        if unit == "device_seconds":
            return self.planned_seconds
        return float(self.flops if unit == "flops" else self.network_passes)


@dataclass(frozen=True)
class StepCost:
    """What one step of a given kind and shape costs."""

    forwards: int
    backwards: int
    flops: int


@dataclass
class Ledger:
    """Charges of one stage, by kind.

    Args:
        seconds_per_step: calibrated device seconds of a step, by its key; needed only when the
            budget is in ``device_seconds``.
        device: where the work runs; decides how device seconds are taken.
    """

    seconds_per_step: dict[str, float] = field(default_factory=dict)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    charges: dict[str, Charge] = field(default_factory=dict)
    costs: dict[str, StepCost] = field(default_factory=dict)

    @contextmanager
    def step(self, kind: str, key: str, *, updates: int = 0, samples: int = 0) -> Iterator[None]:
        """Charge one step to ``kind``.

        Args:
            kind: line of the ledger, such as ``train`` or ``pairs``.
            key: name of the step's shape; steps of one key cost the same.
            updates, samples: what the step adds to these counts.

        Raises:
            BudgetError: the step evaluated the network another number of times than the first
                step of its key.
        """
        cost = self.costs.get(key)
        with counted() as passes:
            if cost is None:
                with counter() as operations:
                    yield
                cost = StepCost(passes.forwards, passes.backwards, operations.get_total_flops())
                self.costs[key] = cost
            else:
                yield
        if (passes.forwards, passes.backwards) != (cost.forwards, cost.backwards):
            raise BudgetError(
                f"step {key!r} spent {passes.forwards} forwards and {passes.backwards} backwards, "
                f"its first one {cost.forwards} and {cost.backwards}: an unplanned evaluation"
            )
        charge = self.charges.setdefault(kind, Charge())
        charge.updates += updates
        charge.samples += samples
        charge.forwards += cost.forwards
        charge.backwards += cost.backwards
        charge.flops += cost.flops
        charge.planned_seconds += self.seconds_per_step.get(key, 0.0)

    @contextmanager
    def timed(self, kind: str) -> Iterator[None]:
        """Add the block's device and wall seconds to ``kind``; synchronises at both ends only."""
        device, wall = device_clock(self.device), time.perf_counter()
        try:
            yield
        finally:
            charge = self.charges.setdefault(kind, Charge())
            charge.device_seconds += device_clock(self.device) - device
            charge.wall_seconds += time.perf_counter() - wall

    @contextmanager
    def coupling(self, kind: str) -> Iterator[None]:
        """Add the block's CPU seconds to the coupling seconds of ``kind``."""
        start = time.process_time()
        try:
            yield
        finally:
            spent = time.process_time() - start
            self.charges.setdefault(kind, Charge()).coupling_seconds += spent

    @contextmanager
    def drawing(self, kind: str) -> Iterator[None]:
        """Add the block's CPU seconds to the drawing seconds of ``kind``."""
        start = time.process_time()
        yield
        self.charges.setdefault(kind, Charge()).drawing_seconds += time.process_time() - start

    def unit_cost(self, key: str, unit: str) -> float:
        """Cost of a step of ``key`` in ``unit``; the step must have been taken once.

        Raises:
            BudgetError: the unit is device_seconds and the step was never calibrated.
        """
        cost = self.costs[key]
        if unit == "flops":
            return float(cost.flops)
        if unit == "network_passes":
            return float(cost.forwards + 2 * cost.backwards)
        if key not in self.seconds_per_step:
            raise BudgetError(f"no calibrated seconds for the step {key!r}; run calibrate first")
        return self.seconds_per_step[key]

    def spent(self, unit: str) -> float:
        """All charges together, in ``unit``."""
        return sum(charge.spent(unit) for charge in self.charges.values())

    def state(self) -> dict[str, Any]:
        """JSON-able state, for a resumable checkpoint."""
        return {
            "charges": {kind: asdict(charge) for kind, charge in self.charges.items()},
            "costs": {key: asdict(cost) for key, cost in self.costs.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up the state of an interrupted run."""
        self.charges = {kind: Charge(**charge) for kind, charge in state["charges"].items()}
        self.costs = {key: StepCost(**cost) for key, cost in state["costs"].items()}


def device_clock(device: torch.device) -> float:
    """Seconds the device has worked: CPU time of the process, or wall time after a sync."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()
