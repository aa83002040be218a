"""The fast path: what makes a network faster on a device and changes its numbers by rounding only.

``channels_last`` keeps the weights of convolutions in the layout that tensor cores read;
``compile`` runs the forward through torch.compile. Whether either is worth it depends on network,
batch and device, so :func:`choose` times real steps with and without it, in turns. Products in
bfloat16 (:func:`round_products`) are no such switch: they are a declared precision.

Both act on the network's ``forward`` in place. The names of its weights stay, and so do the hooks
by which the budget counts passes: they run around ``forward``, outside of what is compiled.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.forward_ad import unpack_dual

from bench.files import read_json, write_json
from bench.registry import aside

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
    """

    on: tuple[str, ...]
    ratios: Mapping[str, float] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)


def choose(make: Callable[[tuple[str, ...]], Turn], candidates: Sequence[str] = SWITCHES) -> Choice:
    """Try one switch after the other; each is kept where it makes the steps faster.

    Args:
        make: a fresh start with some switches on; two starts take the same steps.
        candidates: switches to try.
    """
    on: tuple[str, ...] = ()
    ratios: dict[str, float] = {}
    refused: dict[str, str] = {}
    for switch in candidates:
        without = make(on)
        try:
            ratios[switch] = paired_ratio(make((*on, switch)), without)
        except Exception as error:
            # What a compiler cannot do is no failure of the experiment: the switch stays off.
            lines = str(error).strip().splitlines() or [""]
            refused[switch] = f"{type(error).__name__}: {lines[0]}"
            continue
        if ratios[switch] < WORTH:
            on = (*on, switch)
    return Choice(on, ratios, refused)


def paired_ratio(one: Turn, other: Turn, turns: int = TURNS) -> float:
    """Median of the seconds of ``one`` over those of ``other``, after a turn of each to warm up.

    Raises:
        ValueError: the losses after all turns differ: one of them computes something else.
    """
    ratios = []
    for turn in range(-1, turns):
        (seconds, loss), (plain_seconds, plain_loss) = one(), other()
        if turn >= 0:
            ratios.append(seconds / plain_seconds)
    # Written so that a loss which is not a number is refused, too.
    if not abs(loss - plain_loss) <= AGREEMENT * abs(plain_loss):
        raise ValueError(f"a loss of {loss:.4g} where {plain_loss:.4g} was expected")
    return median(ratios)


@aside("where a choice is kept")
def remembered(file: Path, about: Mapping[str, Any], measure: Callable[[], Choice]) -> Choice:
    """The choice in ``file``, measured now unless the file holds one about the same.

    Jobs of other seeds ask for the same choice: the first one measures and the others wait.
    """
    with _locked(file.with_suffix(".lock")):
        if file.exists():
            known = read_json(file)
            if known["about"] == about:
                return Choice(tuple(known["on"]), known["ratios"], known["refused"])
        choice = measure()
        write_json(file, {"about": dict(about), **asdict(choice)})
        return choice


@contextmanager
def _locked(lock: Path) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


# --- what the switches do -------------------------------------------------------------------------


def arrange(network: nn.Module, on: Sequence[str]) -> None:
    """Lay the weights out as asked; before an optimiser looks at them."""
    if "channels_last" in on:
        network.to(memory_format=torch.channels_last)


def round_products(network: nn.Module) -> None:
    """Matrix products and convolutions in bfloat16, by autocast; weights and output in float32.

    A forward that carries a derivative (forward mode) stays in float32: autocast knows none, and
    the derivative by time would be mostly rounding.
    """
    forward, device = network.forward, next(network.parameters()).device.type

    def rounded(*inputs: Tensor | None) -> Tensor:
        if not torch.compiler.is_compiling() and _has_tangent(inputs):
            exact: Tensor = forward(*inputs)
            return exact
        with torch.autocast(device, torch.bfloat16):
            output: Tensor = forward(*inputs)
        return output.float()

    vars(network)["forward"] = rounded


def _has_tangent(inputs: Sequence[Tensor | None]) -> bool:
    return any(x is not None and unpack_dual(x).tangent is not None for x in inputs)


def compile_forward(
    network: nn.Module, backend: str = "inductor", batch: int | None = None
) -> None:
    """Compile the network's forward; torch compiles when it is first called.

    Args:
        network: its shapes should be few: each one is compiled on its own.
        backend: of torch.compile.
        batch: compile for this many samples only, and call the plain forward for any other.
    """
    # Code is compiled a limited number of times in a process, however many networks it is for.
    torch.compiler.reset()
    plain = network.forward
    fast = torch.compile(plain, dynamic=False, backend=backend)

    def forward(x: Tensor, *told: Tensor | None) -> Tensor:
        output: Tensor = (fast if batch in (None, len(x)) else plain)(x, *told)
        return output

    vars(network)["forward"] = forward


def onto(values: Tensor, device: torch.device) -> Tensor:
    """``values`` of the host on ``device``, without waiting for what the device is doing.

    A copy from ordinary memory would wait: CUDA reads it before it returns.
    """
    ready = values.pin_memory() if device.type == "cuda" else values
    return ready.to(device, non_blocking=True)
