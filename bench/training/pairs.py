"""Pairs for reflow: the ends of a model's own probability flow.

Reflow is that of Liu et al., 2022, 2209.03003, section 2.2.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench.errors import BudgetError
from bench.files import replacing
from bench.models.fast_path import compile_forward
from bench.models.path_model import PathModel
from bench.sampling.sample import Request, solve
from bench.streams import stream
from bench.training.budget import Ledger
from bench.training.couplings import Pair

CHUNK = 512
"""Pairs solved together; the last chunk holds what the budget still buys."""

CHECKPOINT_SECONDS = 20.0
"""Least time between two checkpoints."""

CHECKPOINT_SPACING = 20.0
"""The same in units of the time that writing one takes."""


@dataclass
class PairMaker:
    """Makes as many pairs of one model as a budget buys; goes on where a run was cut off.

    Noise and classes are keyed by seed, ``name`` and chunk: they are neither those of training nor
    those of sampling, and only the ends have to be kept between runs.

    Args:
        model: the model whose flow is followed.
        shape: shape of one sample.
        request: solver and evaluations a pair; their number must be fixed.
        ledger: charged for every chunk.
        seed, name: keys of the streams.
        label: classes of the training data, ``[n]``, from which those of the pairs are drawn.
        resume: file that holds the state between checkpoints; None keeps none.
        digest: identity of the stage; a resume file of another digest is ignored.
        compiled: compile the forward. The first chunk is taken as it is, since torch counts no
            FLOPs in compiled code.
        report: called with (pairs made, pairs in all) after each chunk.
    """

    model: PathModel
    shape: Sequence[int]
    request: Request
    ledger: Ledger
    seed: int
    name: str
    label: Tensor | None = None
    resume: Path | None = None
    digest: str = ""
    compiled: bool = False
    report: Callable[[int, int], None] = lambda done, total: None

    @torch.no_grad()
    def run(self, units: float, unit: str) -> Pair:
        """All pairs ``[n, ...]`` that ``units`` buy, on the host.

        Raises:
            BudgetError: the budget does not buy one chunk.
        """
        made, device = self._load(), next(self.model.network.parameters()).device
        done, total = sum(map(len, made)), self._affordable(units, unit) if made else CHUNK
        saved, wait, plain = time.monotonic(), CHECKPOINT_SECONDS, self.compiled
        while done < total:
            size = min(CHUNK, total - done)
            key = "pairs" if size == CHUNK else self._partial(size)
            if plain and made:
                compile_forward(self.model.network, batch=CHUNK)
                plain = False
            noise, label = self._drawn(len(made), size)
            start = self.model.path.start_scale() * noise.to(device)
            model = self.model.given(None if label is None else label.to(device))
            with self.ledger.timed("pairs"), self.ledger.step("pairs", key, samples=size):
                ends = solve(model, start, self.request)
            # To the host: all pairs together may be more than the device holds.
            made.append(ends.cpu())
            done += size
            total = self._affordable(units, unit)
            self.report(done, total)
            if done < total and time.monotonic() - saved >= wait:
                begun = time.monotonic()
                self._save(made)
                saved = time.monotonic()
                # All ends are written each time: the more there are, the seldomer.
                wait = max(CHECKPOINT_SECONDS, CHECKPOINT_SPACING * (saved - begun))
        drawn = [self._drawn(chunk, len(ends)) for chunk, ends in enumerate(made)]
        labels = [label for _, label in drawn if label is not None]
        return Pair(
            torch.cat([noise for noise, _ in drawn]),
            torch.cat(made),
            torch.cat(labels) if labels else None,
        )

    def _drawn(self, chunk: int, size: int) -> tuple[Tensor, Tensor | None]:
        """Noise and classes of a chunk, on the host."""
        generator = stream(self.seed, "pairs", self.name, chunk)
        noise = torch.randn(size, *self.shape, generator=generator)
        if self.label is None:
            return noise, None
        return noise, self.label.cpu()[torch.randint(len(self.label), (size,), generator=generator)]

    def _affordable(self, units: float, unit: str) -> int:
        total = int(units / self.ledger.unit_cost("pairs", unit) * CHUNK)
        if total < CHUNK:
            raise BudgetError(
                f"{units:.3g} {unit} buy {total} pairs, fewer than {CHUNK}: "
                "raise budget.amount or the share of the pairs"
            )
        return total

    def _partial(self, size: int) -> str:
        """Key of a last chunk of ``size`` pairs, priced as its part of a whole one."""
        key, seconds = f"{size} pairs", self.ledger.seconds_per_step
        if "pairs" in seconds:
            seconds[key] = seconds["pairs"] * size / CHUNK
        return key

    def _save(self, made: list[Tensor]) -> None:
        if self.resume is None:
            return
        meta = {"digest": self.digest, "ledger": self.ledger.state()}
        with replacing(self.resume) as temporary:
            save_file({"ends": torch.cat(made)}, temporary, metadata={"state": json.dumps(meta)})

    def _load(self) -> list[Tensor]:
        """Ends of the whole chunks of an interrupted run, or none."""
        if self.resume is None or not self.resume.exists():
            return []
        with safe_open(self.resume, "pt") as file:
            meta = json.loads(file.metadata()["state"])
        if meta["digest"] != self.digest:
            return []
        self.ledger.restore(meta["ledger"])
        return list(load_file(self.resume)["ends"].split(CHUNK))
