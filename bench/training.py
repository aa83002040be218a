"""The one training loop: every formulation, every stage.

What an update draws is keyed by (seed, purpose, update): the order of the data, the noise and the
times are the same for every formulation that shares a seed, and a resumed run repeats them.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.adamw import adamw

from bench.acceleration import compile_forward, onto
from bench.budget import Ledger
from bench.couplings import Coupling, Pair
from bench.errors import BudgetError
from bench.files import replacing
from bench.models import PathModel
from bench.objectives import Objective
from bench.streams import Draws, stream
from bench.tensors import expand

FEWEST_UPDATES = 50
"""A stage that buys fewer could not spend 98% of its budget in whole updates."""

LOGGED_POINTS = 100
CHECKPOINT_SECONDS = 20.0


@dataclass(frozen=True)
class Settings:
    """What is equal for all formulations, and the learning rate tuned for each.

    Attributes:
        batch_size: samples an update.
        learning_rate: peak rate of AdamW; linear warm-up, then a cosine to zero.
        warmup, ema_half_life: as fractions of this stage's updates.
        weight_decay: decoupled weight decay.
        gradient_clip: largest norm of the gradient.
    """

    batch_size: int
    learning_rate: float
    warmup: float
    ema_half_life: float
    weight_decay: float
    gradient_clip: float


class Source(Protocol):
    """Where batches come from."""

    def batch(self, update: int, size: int) -> Pair:
        """The pair of ``update``, before the coupling."""
        ...


@lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, count: int) -> Tensor:
    return torch.randperm(count, generator=stream(seed, "order", epoch))


def order(seed: int, update: int, size: int, count: int) -> Tensor:
    """Indices ``[size]`` of an update: consecutive slices of one permutation an epoch."""
    position = torch.arange(update * size, (update + 1) * size)
    epochs = torch.div(position, count, rounding_mode="floor")
    picked = torch.empty_like(position)
    for epoch in epochs.unique().tolist():
        mask = epochs == epoch
        picked[mask] = _permutation(seed, int(epoch), count)[position[mask] % count]
    return picked


@dataclass(frozen=True)
class FreshNoise:
    """Training data ``[n, ...]`` with new noise for every update.

    Args:
        data: on the device of the training.
        seed: key of order, noise and mirroring.
        label: class of each sample, ``[n]``.
        flip: mirror half of the images, by a toss for each sample of an update.
    """

    data: Tensor
    seed: int
    label: Tensor | None = None
    flip: bool = False

    def batch(self, update: int, size: int) -> Pair:
        """The pair of ``update``, before the coupling."""
        device = self.data.device
        index = onto(order(self.seed, update, size, len(self.data)), device)
        data = self.data[index]
        if self.flip:
            tossed = torch.rand(size, generator=stream(self.seed, "flip", update)) < 0.5
            data = torch.where(expand(onto(tossed, device), data), data.flip(-1), data)
        noise = torch.randn(data.shape, generator=stream(self.seed, "noise", update))
        return Pair(onto(noise, device), data, _rows(self.label, index))


@dataclass(frozen=True)
class StoredPairs:
    """Pairs ``[n, ...]`` of an earlier stage, in the order of their index."""

    noise: Tensor
    data: Tensor
    seed: int
    label: Tensor | None = None

    def batch(self, update: int, size: int) -> Pair:
        """The pair of ``update``, before the coupling."""
        index = onto(order(self.seed, update, size, len(self.data)), self.data.device)
        return Pair(self.noise[index], self.data[index], _rows(self.label, index))


def _rows(label: Tensor | None, index: Tensor | slice) -> Tensor | None:
    return None if label is None else label[index]


@dataclass(frozen=True)
class PartDraws(Draws):
    """The numbers of some samples of an update: those that the whole update would draw for them.

    Args:
        part: which samples.
    """

    part: slice

    def __call__(self, purpose: str) -> Tensor:
        """Numbers in (0, 1) of the part; see :class:`bench.streams.Draws`."""
        whole = Draws(self.seed, self.update, self.size, torch.device("cpu"))(purpose)
        return onto(whole[self.part], self.device)


class AdamW:
    """AdamW (Loshchilov & Hutter, 1711.05101) by torch's fused kernel, with its state in lists.

    ``torch.optim.AdamW`` imports the compiler in its first step: a second of every short job.

    Args:
        parameters: updated in place from their gradients.
        weight_decay: decoupled from the gradient.
    """

    def __init__(self, parameters: list[nn.Parameter], weight_decay: float) -> None:
        self.parameters = parameters
        self.weight_decay = weight_decay
        self.first = [torch.zeros_like(p) for p in parameters]
        self.second = [torch.zeros_like(p) for p in parameters]
        self.steps = [torch.zeros((), device=p.device) for p in parameters]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One update at the learning rate ``rate``; clears the gradients."""
        adamw(
            list(self.parameters),
            [p.grad for p in self.parameters if p.grad is not None],
            self.first,
            self.second,
            [],
            self.steps,
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=rate,
            weight_decay=self.weight_decay,
            eps=1e-8,
            maximize=False,
        )
        self.clear()

    def clear(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def state(self) -> dict[str, Tensor]:
        """Named tensors of the state; writing into them restores it."""
        lists = {"first": self.first, "second": self.second, "step": self.steps}
        return {f"{name}.{i}": t for name, found in lists.items() for i, t in enumerate(found)}


class MovingAverage:
    """Exponential moving average of a network's parameters."""

    def __init__(self, network: nn.Module) -> None:
        self.source = [p.detach() for p in network.parameters()]
        self.average = [p.clone() for p in self.source]

    def update(self, decay: float) -> None:
        """``average = decay*average + (1 - decay)*parameters``."""
        torch._foreach_lerp_(self.average, self.source, 1 - decay)

    def copy_to(self, network: nn.Module) -> None:
        """Write the average into ``network``."""
        with torch.no_grad():
            for parameter, average in zip(network.parameters(), self.average, strict=True):
                parameter.copy_(average)


@dataclass
class Trainer:
    """Trains one model for one stage, within its budget.

    Args:
        model: trained in place; ends with its moving average as weights.
        objective, coupling, source: what is minimised, on which pairs.
        settings: see :class:`Settings`.
        ledger: charged for every step.
        seed: key of the streams.
        dropout: share of samples whose class is hidden, where there are classes.
        resume: file that holds the state between checkpoints; None keeps none.
        digest: identity of the stage; a resume file of another digest is ignored.
        report: called with (updates done, updates in all) after each update.
        compiled: compile the forwards of the model and of its teacher. The first step is taken as
            they are, since torch counts no FLOPs in compiled code.

    Attributes:
        parts: parts in which a batch is taken, one after the other, because it does not fit into
            the device's memory whole. Their gradients add up to that of the whole batch.
    """

    model: PathModel
    objective: Objective
    coupling: Coupling
    source: Source
    settings: Settings
    ledger: Ledger
    seed: int
    dropout: float = 0.0
    resume: Path | None = None
    digest: str = ""
    report: Callable[[int, int], None] = lambda done, total: None
    compiled: bool = False
    parts: int = 1
    losses: list[tuple[int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.parameters = list(self.model.network.parameters())
        self.device = self.parameters[0].device
        self.optimizer = AdamW(self.parameters, self.settings.weight_decay)

    def _step(self, kind: str, update: int, progress: float, updates: int) -> Tensor:
        """Charge one step and leave its gradient with the parameters; the mean loss, detached.

        A batch that does not fit into memory is taken in twice as many parts, until it does.
        """
        size = self.settings.batch_size
        while True:
            try:
                with self.ledger.step(kind, "update", updates=updates, samples=size):
                    return self._gradient(kind, update, progress)
            except torch.OutOfMemoryError:
                if 2 * self.parts > size:
                    raise
            # Here and not above: an exception that is being handled keeps its tensors alive.
            self.parts *= 2
            self.optimizer.clear()

    def _gradient(self, kind: str, update: int, progress: float) -> Tensor:
        size = self.settings.batch_size
        pair = self.source.batch(update, size)
        with self.ledger.coupling(kind):
            pair = self.coupling(pair, stream(self.seed, "coupling", update))
        losses = []
        for first in range(self.parts):
            # Every parts-th sample: the first quarter of a part lies in the first quarter of the
            # batch, which is what an objective that treats shares of a batch apart goes by.
            part = slice(first, None, self.parts)
            draws = PartDraws(self.seed, update, size, self.device, part)
            some = Pair(pair.noise[part], pair.data[part], _rows(pair.label, part))
            model = self.model.given(self._shown(some.label, draws))
            loss = self.objective(model, some, draws, progress).sum() / size
            loss.backward()
            losses.append(loss.detach())
        return sum(losses[1:], start=losses[0])

    def _shown(self, label: Tensor | None, draws: Draws) -> Tensor | None:
        """Classes as the network sees them: some replaced by the null class."""
        if label is None:
            return None
        return torch.where(draws("label") < self.dropout, self.model.null(label), label)

    def probe(self) -> None:
        """Take one step's forward and backward without an update, to learn what a step costs."""
        with self.ledger.timed("probe"):
            self._step("probe", 0, 0.0, updates=0)
        self.optimizer.clear()
        self._compile()

    def _compile(self) -> None:
        """Compile what later steps evaluate, if that was asked for."""
        if self.compiled:
            teacher = self.objective.teacher
            for model in (self.model, *(() if teacher is None else (teacher,))):
                compile_forward(model.network)

    def affordable(self, units: float, unit: str) -> int:
        """Whole updates that ``units`` buy after the probe.

        Raises:
            BudgetError: too few to spend 98% of the budget in whole updates.
        """
        cost = self.ledger.unit_cost("update", unit)
        updates = int((units - self.ledger.spent(unit)) / cost)
        if updates < FEWEST_UPDATES:
            raise BudgetError(
                f"{units:.3g} {unit} buy {max(updates, 0)} updates at {cost:.3g} each; "
                f"a stage needs at least {FEWEST_UPDATES}: raise budget.amount"
            )
        return updates

    def run(self, units: float, unit: str) -> int:
        """Spend ``units`` and return the number of updates; resumes where a run was cut off."""
        self.model.network.train()
        average = MovingAverage(self.model.network)
        window = torch.zeros((), device=self.device)
        state = self._load(average, window)
        if state is None:
            self.probe()
            done, total = 0, self.affordable(units, unit)
        else:
            self._compile()
            done, total = state
        decay = 0.5 ** (1 / max(self.settings.ema_half_life * total, 1e-9))
        every = max(1, total // LOGGED_POINTS)
        while done < total:
            with self.ledger.timed("train"):
                deadline = time.monotonic() + CHECKPOINT_SECONDS
                while True:
                    window += self._update(done, total)
                    average.update(min(decay, (1 + done) / (10 + done)))
                    done += 1
                    if done % every == 0 or done == total:
                        count = (done - 1) % every + 1
                        self.losses.append((done, float(window) / count))
                        window.zero_()
                    self.report(done, total)
                    if done == total or time.monotonic() >= deadline:
                        break
            if done < total:
                self._save(average, window, done, total)
        average.copy_to(self.model.network)
        self.model.network.eval()
        return total

    def rehearse(self, updates: int) -> Tensor:
        """Take ``updates`` real steps outside any budget's plan, to be timed; their mean loss."""
        losses = [self._update(update, updates) for update in range(updates)]
        return torch.stack(losses).mean()

    def _update(self, update: int, total: int) -> Tensor:
        rate = _schedule(update, total, self.settings.warmup) * self.settings.learning_rate
        loss = self._step("train", update, update / total, updates=1)
        nn.utils.clip_grad_norm_(self.parameters, self.settings.gradient_clip, foreach=True)
        self.optimizer.step(rate)
        return loss

    def _state(self, average: MovingAverage, window: Tensor) -> dict[str, Tensor]:
        """Every tensor of the run by name; writing into them restores it."""
        tensors = {"window": window, **self.optimizer.state()}
        for index, parameter in enumerate(self.parameters):
            tensors[f"parameter.{index}"] = parameter.detach()
            tensors[f"average.{index}"] = average.average[index]
        return tensors

    def _save(self, average: MovingAverage, window: Tensor, done: int, total: int) -> None:
        if self.resume is None:
            return
        # Weights of convolutions may lie channels last; files hold plain ones.
        tensors = {name: t.contiguous() for name, t in self._state(average, window).items()}
        meta = {
            "digest": self.digest,
            "done": done,
            "total": total,
            "losses": self.losses,
            "ledger": self.ledger.state(),
        }
        with replacing(self.resume) as temporary:
            save_file(tensors, temporary, metadata={"state": json.dumps(meta)})

    def _load(self, average: MovingAverage, window: Tensor) -> tuple[int, int] | None:
        if self.resume is None or not self.resume.exists():
            return None
        with safe_open(self.resume, "pt") as file:
            meta: dict[str, Any] = json.loads(file.metadata()["state"])
        if meta["digest"] != self.digest:
            return None
        stored = load_file(self.resume, device=str(self.device))
        for name, tensor in self._state(average, window).items():
            tensor.copy_(stored[name])
        self.ledger.restore(meta["ledger"])
        self.losses = [(int(update), float(loss)) for update, loss in meta["losses"]]
        return int(meta["done"]), int(meta["total"])


def _schedule(update: int, total: int, warmup: float) -> float:
    """Linear warm-up over the first fraction ``warmup``, then a half cosine to zero."""
    rise = max(1, round(warmup * total))
    if update < rise:
        return (update + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (update - rise) / max(1, total - rise)))
