"""Part c: the default experiment's two small networks, on a card and on the CPU.

Networks this small leave most of a card idle, and its jobs may share it: how many updates a second
do one, two, four and eight processes take together on one card, how many does one core of the CPU
take, and how many do all of them, with a process each? The same is asked of samples.

The processes are started once and wait for orders. For each figure some of them warm up, say so,
and begin at a word; each counts the work that it finishes, the device synchronised, in windows of
equal length. Low and high are quartiles over windows. Trained is by the stage's own loop
(``bench.training.loop.Trainer``), sampled by Euler's method, as the sweep does.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from itertools import product
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from bench.experiment import loading
from bench.stages.running.devices import THREAD_VARIABLES, ready
from tests.benchmarks.gpu.measure import (
    Deadline,
    Findings,
    Group,
    Measurement,
    arguments,
    measure_all,
    quartiles,
)

if TYPE_CHECKING:
    import torch

PART = "small_networks"
CONFIG = "configs/default.yaml"
LABEL, SEED = "flow_matching", 0
SHARING = (1, 2, 4, 8)
"""Processes on one card."""

EVALUATIONS = 16
"""Of Euler's method, where samples are made."""

LONGEST_WAIT = 60.0
"""Seconds that a process may take to answer: it may have to import torch and to meet a card."""


@dataclass(frozen=True)
class Sizes:
    """How long is counted, and how often.

    Attributes:
        windows: windows of a figure.
        seconds: of a window.
        step: updates between two looks at the clock; of solves there is one.
    """

    windows: int
    seconds: float
    step: int


FULL = Sizes(3, 0.3, 5)
TINY = Sizes(2, 0.05, 1)


@dataclass(frozen=True)
class Order:
    """What a process is to do.

    Attributes:
        device: ``cuda`` or ``cpu``.
        dataset: whose network.
        work: ``training`` or ``sampling``.
        sizes: how long.
    """

    device: str
    dataset: str
    work: str
    sizes: Sizes


# --- a process that works -------------------------------------------------------------------------


def serve() -> None:
    """Carry out orders from stdin until it ends; answers are lines of JSON on stdout."""
    import torch

    torch.set_num_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    works = cache(_prepared)
    for line in sys.stdin:
        given = json.loads(line)
        order = Order(**given | {"sizes": Sizes(**given["sizes"])})
        device = torch.device(order.device)
        work, worth = works(order.device, order.dataset, order.work)
        step = order.sizes.step if order.work == "training" else 1
        _synchronised(work, device, step)
        _say({"warm": True})
        sys.stdin.readline()
        rates = []
        for _ in range(order.sizes.windows):
            done, begun = 0, time.perf_counter()
            while (taken := time.perf_counter() - begun) < order.sizes.seconds or not done:
                _synchronised(work, device, step)
                done += step * worth
            rates.append(done / taken)
        _say({"rates": rates})


def _say(answer: Mapping[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


def _synchronised(work: Callable[[], object], device: torch.device, times: int) -> None:
    from tests.benchmarks.throughput import synchronise

    for _ in range(times):
        work()
    synchronise(device)


def _prepared(device: str, dataset: str, work: str) -> tuple[Callable[[], object], int]:
    """A step of the work, and what it is worth: an update, or evaluated samples."""
    import torch

    from bench.data.dataset import data_module
    from bench.experiment.layout import Layout
    from bench.sampling.sample import Request, sample
    from bench.sampling.solvers.catalogue import SOLVERS
    from bench.stages.running.job import Job
    from bench.stages.train import trainer
    from bench.training.budget import Ledger

    experiment, where = loading.load(CONFIG), torch.device(device)
    module = data_module(dataset)
    data = module.build(module.Options(**experiment.datasets[dataset].options))
    stage = experiment.formulation(LABEL).final.name
    job = Job(experiment, Layout(Path("results")), dataset, LABEL, stage, SEED)
    training = trainer(job, data, Ledger(device=where), where, rehearsal=True, on=())
    training.probe()
    if work == "training":
        return partial(training.rehearse, 1), 1
    count = experiment.sweep.batch_size
    noise = torch.randn(count, *data.shape, generator=torch.Generator().manual_seed(0)).to(where)
    request = Request(SOLVERS["euler"], EVALUATIONS)
    return partial(sample, training.model, noise, request, count), count * EVALUATIONS


class Processes:
    """Processes that work when they are told to; they end with the block.

    They are started when they are first needed, and anew after one of them has failed.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._started: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._end()

    def rates(self, order: Order, count: int) -> list[list[float]]:
        """What each of ``count`` of them does a second, by window, all at the same time.

        Raises:
            RuntimeError: one of them has ended.
            TimeoutError: one of them says nothing.
        """
        self._begin()
        chosen = self._started[:count]
        try:
            for process in chosen:
                _tell(process, asdict(order))
            for process in chosen:
                _answer(process, "warm")
            for process in chosen:
                _tell(process, {})
            return [_answer(process, "rates") for process in chosen]
        except Exception:
            self._end()
            raise

    def _begin(self) -> None:
        code = "from tests.benchmarks.gpu.small_networks import serve; serve()"
        environment = os.environ | dict.fromkeys(THREAD_VARIABLES, "1")
        while len(self._started) < self._count:
            process = subprocess.Popen(
                [sys.executable, "-c", code],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self._started.append(process)

    def _end(self) -> None:
        for process in self._started:
            process.kill()
        for process in self._started:
            process.communicate()
        self._started = []


def _tell(process: subprocess.Popen[str], what: Mapping[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(what) + "\n")
    process.stdin.flush()


def _answer(process: subprocess.Popen[str], key: str) -> Any:
    """The one line that is waited for: nothing is ever left behind it in the pipe's buffer."""
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], LONGEST_WAIT)[0]:
        raise TimeoutError(f"a process said nothing for {LONGEST_WAIT:g} s")
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"a process has ended, with {process.wait()}")
    return json.loads(line)[key]


# --- the part -------------------------------------------------------------------------------------

WHAT = {"training": "updates", "sampling": "evaluated samples"}


def subject(work: str, dataset: str, device: str, count: int) -> str:
    """Name of what some processes do on a device."""
    return f"{work}/{dataset}/{device}/{count}"


def together(
    processes: Processes, order: Order, counts: Sequence[int], about: str
) -> list[Measurement]:
    """Work a second of some processes together, and of each of them."""
    found, what = [], WHAT[order.work]
    for count in counts:
        by_process = processes.rates(order, count)
        in_all = [sum(rates) for rates in zip(*by_process, strict=True)]
        each = [rate for rates in by_process for rate in rates]
        name = subject(order.work, order.dataset, order.device, count)
        for quantity, values in (
            (f"{what} a second, all together", in_all),
            (f"{what} a second, each process", each),
        ):
            low, middle, high = quartiles(values)
            found.append(Measurement(PART, name, quantity, middle, low, high, "1/s", about))
    return found


def beside(
    findings: Findings, work: str, dataset: str, cores: int, sharing: Sequence[int]
) -> list[Measurement]:
    """The card beside the CPU: which is faster, and by how much."""
    quantity = f"{WHAT[work]} a second, all together"
    known = {row.subject: row.value for row in findings.measurements if row.quantity == quantity}

    def rate(device: str, count: int) -> float:
        return known[subject(work, dataset, device, count)]

    shared = max(sharing, key=lambda count: rate("cuda", count))
    found = []
    for name, ratio in (
        ("one process on the card over one core", rate("cuda", 1) / rate("cpu", 1)),
        (
            f"{shared} processes on the card over {cores} cores",
            rate("cuda", shared) / rate("cpu", cores),
        ),
    ):
        note = "the card is faster" if ratio > 1 else "the CPU is faster"
        found.append(
            Measurement(PART, f"{work}/{dataset}/beside", name, ratio, None, None, "1", note)
        )
    return found


def groups(
    findings: Findings, processes: Processes, card: bool, cores: int, tiny: bool
) -> Iterator[Group]:
    """What is measured, the most valuable first; expected seconds are those of an H100."""
    sizes, expected = (TINY, 0.0) if tiny else (FULL, 1.0)
    experiment = loading.load(CONFIG)
    batches = {
        "training": experiment.training.batch_size,
        "sampling": experiment.sweep.batch_size,
    }
    sharing = SHARING[:2] if tiny else SHARING
    counts = {"cuda": sharing if card else (), "cpu": tuple(sorted({1, cores}))}
    first = 10 * expected  # processes that start, and meet the card
    for work, dataset in product(WHAT, reversed(list(experiment.datasets))):
        named = []
        for device, shares in counts.items():
            if not shares:
                continue
            order = Order(device, dataset, work, sizes)
            subjects = tuple(subject(work, dataset, device, count) for count in shares)
            named += subjects
            about = f"batch {batches[work]}"
            cost = first + 2 * len(shares) * expected
            yield Group(subjects, cost, partial(together, processes, order, shares, about))
            first = 0.0
        if card and all(map(findings.has, named)):
            compared = partial(beside, findings, work, dataset, cores, sharing)
            yield Group((f"{work}/{dataset}/beside",), 0.0, compared)


def main() -> int:
    """Measure as far as the time goes; the exit status is 1 where a measurement has failed."""
    asked = arguments(__doc__)
    deadline = Deadline(asked.seconds)
    device = ready(1)
    findings = Findings.open(asked.out, PART, device)
    card, cores = device.type == "cuda", len(os.sched_getaffinity(0))
    if asked.tiny:
        cores = min(cores, 2)
    with Processes(max(cores, *(SHARING if card else (1,)))) as processes:
        return measure_all(findings, deadline, groups(findings, processes, card, cores, asked.tiny))


if __name__ == "__main__":
    raise SystemExit(main())
