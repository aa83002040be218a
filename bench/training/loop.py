"""The one training loop: every formulation, every stage.

What an update draws is keyed by (seed, purpose, update): the order of the data, the noise and the
times are the same for every formulation that shares a seed, and a resumed run repeats them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bench.errors import BudgetError
from bench.files import replacing
from bench.memory import first_that_fits
from bench.models.fast_path import compile_forward
from bench.models.path_model import PathModel
from bench.streams import Draws, stream
from bench.training.batches import PartDraws, Source, _rows
from bench.training.budget import Ledger
from bench.training.couplings import Coupling, Pair
from bench.training.objectives import Objective
from bench.training.optimiser import AdamW, MovingAverage, _schedule

FEWEST_UPDATES = 50
"""A stage that buys fewer could not spend 98% of its budget in whole updates."""


LOGGED_POINTS = 100


CHECKPOINT_SECONDS = 20.0


PROBE = "probe"
"""The charge of the step that tells what a step costs."""


@dataclass(frozen=True)
class Settings:
    """What is equal for all formulations, and the learning rate tuned for each.

    Attributes:
        batch_size: samples an update.
        learning_rate: peak rate of AdamW; linear warm-up, then a cosine to zero.
        warmup, ema_half_life: as fractions of this stage's updates.
        gradient_clip: largest norm of the gradient.
    """

    batch_size: int
    learning_rate: float
    warmup: float
    ema_half_life: float
    gradient_clip: float


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
        self.optimizer = AdamW(self.parameters)

    def _step(self, kind: str, update: int, progress: float, updates: int) -> Tensor:
        """Charge one step and leave its gradient with the parameters; the mean loss, detached.

        A batch that does not fit into memory is taken in twice as many parts, until it does.

        Raises:
            BudgetError: it does not fit, and its samples' losses depend on each other.
        """
        size = self.settings.batch_size

        def attempt(parts: int) -> Tensor:
            if parts > self.parts:
                self.optimizer.clear()  # of what a batch in fewer parts has left
            with self.ledger.step(kind, "update", updates=updates, samples=size):
                return self._gradient(kind, update, progress, parts)

        try:
            loss, self.parts = first_that_fits(attempt, self._numbers_of_parts())
        except torch.OutOfMemoryError as error:
            if not self.objective.couples_samples:
                raise
            raise BudgetError(
                f"a batch of {size} does not fit into memory, and the objective "
                f"{type(self.objective).__name__} couples its samples, so that it cannot "
                "be taken in parts: lower training.batch_size"
            ) from error
        return loss

    def _numbers_of_parts(self) -> Iterator[int]:
        """Today's number of parts and its doubles, where samples may be parted and all get one."""
        parts = self.parts
        yield parts
        most = parts if self.objective.couples_samples else self.settings.batch_size
        while (parts := 2 * parts) <= most:
            yield parts

    def _gradient(self, kind: str, update: int, progress: float, parts: int = 1) -> Tensor:
        size = self.settings.batch_size
        with self.ledger.drawing(kind):
            pair = self.source.batch(update, size)
        with self.ledger.coupling(kind):
            pair = self.coupling(pair, stream(self.seed, "coupling", update))
        losses = []
        for first in range(parts):
            # Every parts-th sample: the first quarter of a part lies in the first quarter of the
            # batch, which is what an objective that treats shares of a batch apart goes by.
            part = slice(first, None, parts)
            draws = PartDraws(self.seed, update, size, self.device, part)
            part_pair = Pair(pair.noise[part], pair.data[part], _rows(pair.label, part))
            model = self.model.given(self._shown(part_pair.label, draws))
            each = self.objective(model, part_pair, draws, progress)
            if kind == PROBE:
                _check_loss(self.objective, each, len(part_pair.data))
            loss = each.sum() / size
            loss.backward()
            losses.append(loss.detach())
        return sum(losses[1:], start=losses[0])

    def _shown(self, label: Tensor | None, draws: Draws) -> Tensor | None:
        """Classes as the network sees them: some replaced by the null class."""
        if label is None:
            return None
        return torch.where(draws("label") < self.dropout, self.model.null(label), label)

    def probe(self) -> None:
        """Take one step's forward and backward without an update, to learn what a step costs.

        Raises:
            ValueError: the objective's loss is not one number a sample.
        """
        with self.ledger.timed(PROBE):
            self._step(PROBE, 0, 0.0, updates=0)
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


def _check_loss(objective: Objective, loss: Tensor, size: int) -> None:
    """Refuse a loss that is not ``[b]``: the sum of a mean would be divided by the batch again.

    Raises:
        ValueError: it has another shape.
    """
    if loss.shape != (size,):
        raise ValueError(
            f"the objective {type(objective).__name__} returned a loss of shape "
            f"{list(loss.shape)} for {size} samples; it must be [{size}], one number a sample"
        )
