"""Which switches of the fast path are on: chosen by measurement, once for a device and its work."""

from __future__ import annotations

import copy
import fcntl
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch

from bench.evidence.records import Record
from bench.experiment import digests
from bench.experiment.cells import SCORING, Cell
from bench.experiment.layout import Layout
from bench.experiment.spec import Experiment
from bench.files import read_json, write_json
from bench.registry import aside
from bench.stages.running.job import about_choice
from bench.stages.running.journal import Entry
from bench.stages.running.seconds import Seconds

if TYPE_CHECKING:
    import torch

    from bench.data.dataset import DataSet
    from bench.formulations.grammar import Formulation
    from bench.models.path_model import PathModel
    from bench.stages.running.model_sweep import Sweep

SWITCHES = ("channels_last", "compile")
"""In the order in which they are tried, each on top of those that were worth it."""


WORTH = 0.97
"""A switch is taken where a step with it takes less than this share of the time without it."""


AGREEMENT = 0.05
"""Largest relative difference of the loss after the steps of a comparison; beyond it, a defect."""


TURNS = 5


Turn = Callable[[], tuple[float, float]]
"""A few real steps, always the same number: the seconds they took and the loss of the last one."""


@dataclass(frozen=True)
class Choice:
    """Which switches are on, and why.

    Attributes:
        on: names of :data:`SWITCHES`.
        ratios: seconds of a step with a switch over those without it, of each that ran.
        refused: why a switch could not be used, of each that could not.
        wrong: what a switch computed in the place of what it should, of each that did: a defect.
    """

    on: tuple[str, ...]
    ratios: Mapping[str, float] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    wrong: Mapping[str, str] = field(default_factory=dict)


class DisagreementError(Exception):
    """A switch makes the same steps end at another loss than they do without it."""


def choose(make: Callable[[tuple[str, ...]], Turn], candidates: Sequence[str] = SWITCHES) -> Choice:
    """Try one switch after the other; each is kept where it makes the steps faster.

    One that computes something else stays off, too, and is reported on stderr.

    Args:
        make: a fresh start with some switches on; two starts take the same steps.
        candidates: switches to try.
    """
    on: tuple[str, ...] = ()
    ratios: dict[str, float] = {}
    refused: dict[str, str] = {}
    wrong: dict[str, str] = {}
    for switch in candidates:
        without = make(on)
        try:
            ratios[switch] = paired_ratio(make((*on, switch)), without)
        except DisagreementError as error:
            wrong[switch] = str(error)
            print(f"warning: {switch} is wrong and stays off: {error}", file=sys.stderr)
            continue
        except Exception as error:
            # What a compiler cannot do is no failure of the experiment: the switch stays off.
            lines = str(error).strip().splitlines() or [""]
            refused[switch] = f"{type(error).__name__}: {lines[0]}"
            continue
        if ratios[switch] < WORTH:
            on = (*on, switch)
    return Choice(on, ratios, refused, wrong)


def paired_ratio(switched: Turn, plain: Turn, turns: int = TURNS) -> float:
    """Median seconds of ``switched`` over those of ``plain``, after a turn of each to warm up.

    Raises:
        DisagreementError: the losses after all turns differ: one of them computes something else.
    """
    ratios = []
    for turn in range(-1, turns):
        (seconds, loss), (plain_seconds, plain_loss) = switched(), plain()
        if turn >= 0:
            ratios.append(seconds / plain_seconds)
    # Written so that a loss which is not a number is refused, too.
    if not abs(loss - plain_loss) <= AGREEMENT * abs(plain_loss):
        raise DisagreementError(f"a loss of {loss:.4g} where {plain_loss:.4g} was expected")
    return median(ratios)


@aside("where a choice is kept")
def remembered(file: Path, about: Mapping[str, Any], measure: Callable[[], Choice]) -> Choice:
    """The choice in ``file``, measured now unless the file holds one about the same.

    Jobs of other seeds ask for the same choice: the first one measures and the others wait.
    """
    with _locked(file.with_suffix(".lock")):
        if file.exists():
            stored_choice = read_json(file)
            if stored_choice["about"] == about:
                return Choice(
                    tuple(stored_choice["on"]),
                    stored_choice["ratios"],
                    stored_choice["refused"],
                    stored_choice.get("wrong", {}),
                )
        choice = measure()
        write_json(file, {"about": dict(about), **asdict(choice)})
        return choice


@contextmanager
def _locked(lock: Path) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


OVERLAP = "overlap"


EVALUATIONS = 4
"""Evaluations of the model between two looks at the clock, where switches are compared."""


def network_batch(formulation: Formulation, batch_size: int) -> int:
    """Samples that reach the network at once in a whole batch: guidance asks it twice."""
    conditional = formulation.conditional
    guided = conditional is not None and conditional.guidance != 1.0
    return batch_size * (2 if guided else 1)


def accelerate(model: PathModel, on: Sequence[str], batch: int) -> None:
    """Switch on what makes the model's network faster, for so many samples at once."""
    from bench.models.fast_path import arrange, compile_forward

    arrange(model.network, on)
    if "compile" in on:
        compile_forward(model.network, batch=batch)


def switches(
    experiment: Experiment,
    layout: Layout,
    dataset: str,
    label: str,
    model: PathModel,
    data: DataSet,
    device: torch.device,
) -> tuple[str, ...]:
    """Switches of the fast path that a model is sampled with; measured now, if they have to be.

    A network that somebody else has trained is sampled as it is.
    """
    asked = experiment.training.acceleration
    if label in experiment.models or asked == "off":
        return ()
    if asked != "auto":
        return tuple(asked)
    if device.type == "cpu":
        return ()
    batch = network_batch(experiment.formulation(label), experiment.sweep.batch_size)
    return remembered(
        layout.sampling_choice(dataset, label),
        about_choice(experiment, dataset, label, device)
        | {"batch_size": experiment.sweep.batch_size},
        lambda: choose(lambda on: _turn(model, data.shape, batch, device, on)),
    ).on


def overlaps(
    experiment: Experiment,
    layout: Layout,
    dataset: str,
    sweep: Sweep,
    cells: Sequence[Cell],
    seconds: Seconds,
) -> bool:
    """Whether cells are scored on a thread of their own while the next ones are sampled.

    Where nothing is named that is measured, once a data set and GPU, with one of the cells; on the
    CPU each job has its cores for itself, and it is off.
    """
    asked = experiment.sweep.overlap
    if asked != "auto" or sweep.device.type == "cpu":
        return asked == "on"
    fixed_cells = [cell for cell in cells if cell.nfe and not cell.refused and cell.path is None]
    if not fixed_cells:
        return False
    by_cost = sorted(fixed_cells, key=lambda cell: cell.nfe or 0)
    cell = replace(by_cost[len(by_cost) // 2], bank=SCORING)
    return (
        OVERLAP
        in remembered(
            layout.overlap_choice(dataset),
            about_scores(experiment, dataset, sweep.device),
            lambda: choose(partial(_round, sweep, cell, seconds), (OVERLAP,)),
        ).on
    )


def about_scores(experiment: Experiment, dataset: str, device: torch.device) -> dict[str, str]:
    """What the choice of :func:`overlaps` holds for: the GPU, the network's size, the metrics."""
    import torch

    work = digests.floor_digest(experiment, dataset)
    return {"device": torch.cuda.get_device_name(device), "work": work}


def _round(sweep: Sweep, cell: Cell, seconds: Seconds, on: Sequence[str]) -> Turn:
    """Two small cells at a time, sampled and scored; with :data:`OVERLAP` beside each other."""
    from bench.stages.running.overlap import Overlap
    from bench.training.budget import device_clock

    small, device = sweep.rehearsal(), sweep.device

    def turn() -> tuple[float, float]:
        rows: list[Record] = []
        start = device_clock(device)
        with Overlap[Entry](
            seconds, "sampling", "metrics", beside=OVERLAP in on, device=device
        ) as overlap:
            for _ in range(2):
                overlap.finish(small.draw(cell, {}, ""), lambda entry: rows.extend(entry.rows))
        return device_clock(device) - start, sum(float(row.get("value") or 0) for row in rows)

    return turn


def _turn(
    model: PathModel, shape: Sequence[int], batch: int, device: torch.device, on: Sequence[str]
) -> Turn:
    """A few evaluations of a copy of a model at a time, with some switches on."""
    import torch

    from bench.models.meter import counted
    from bench.streams import stream
    from bench.training.budget import device_clock

    tried = copy.copy(model)
    tried.network = copy.deepcopy(model.network)
    accelerate(tried, on, batch)
    x = torch.randn(batch, *shape, generator=stream("acceleration")).to(device)
    t = torch.tensor([sum(model.path.interval) / 2], dtype=torch.float64)

    def turn() -> tuple[float, float]:
        start = device_clock(device)
        with torch.no_grad(), counted():
            for _ in range(EVALUATIONS):
                estimate = tried.data(x, t)
        return device_clock(device) - start, float(estimate.square().mean())

    return turn
