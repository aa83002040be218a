"""Samples and scores of one model: what a cell of a sweep does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench import geometry
from bench.cells import Cell
from bench.declarations import Conditional
from bench.evaluation import Context, References
from bench.journal import Array, Entry
from bench.metrics import evaluate
from bench.models import PathModel
from bench.provenance import cell_columns
from bench.records import Record
from bench.sampling import (
    Request,
    Solution,
    sample,
    solver_noise,
    starting_labels,
    starting_noise,
)
from bench.solvers.catalogue import SOLVERS
from bench.spec import NoiseBank, SweepSpec

SCORING: NoiseBank = "scoring"
REFERENCE = "reference"
"""Name of the fine solve in the records: dopri5 at ``sweep.reference_tolerance``."""

GEOMETRY_SAMPLES = 256
SHOWN_IMAGES = 64
SHOWN_POINTS = 597
SHOWN_TRAJECTORIES = 128


@dataclass
class Sweep:
    """The cells of one model.

    Args:
        model: finished, frozen.
        conditional: how classes are used, or None.
        seed: key of its noise banks.
        spec: sizes of the sweep.
        references: real samples.
        seconds: charged with sampling and metrics.
    """

    model: PathModel
    conditional: Conditional | None
    seed: int
    spec: SweepSpec
    references: References
    seconds: Callable[[str], AbstractContextManager[None]]
    _noise: dict[str, Tensor] = field(default_factory=dict)

    def measure(self, cell: Cell, columns: dict[str, Any], digest: str) -> Entry:
        """Sample and score one cell; a refusal or a failure is a row of its own."""
        start, end = self.model.path.interval
        columns = {
            **columns,
            **cell_columns(cell),
            "noise_bank": cell.bank,
            "interval": f"[{start:g}, {end:g}]",
            "n_samples": self.spec.samples[cell.bank],
            "batch_size": self.spec.batch_size,
            "device": self._device.type,
            "status": "ok",
            "run_digest": digest,
        }
        if cell.refused is not None:
            return Entry([_without_value(columns, "refused", cell.refused)])
        try:
            solution = self._sample(cell)
            with self.seconds("metrics"):
                measured = evaluate(
                    Context(
                        solution.end.cpu(),
                        self.references,
                        self._reference_end if self._has_reference(cell) else None,
                    )
                )
        except Exception as error:
            # One broken cell is a row of the table; the rest of the sweep goes on.
            return Entry([_without_value(columns, "failed", f"{type(error).__name__}: {error}")])
        columns |= {
            "nfe": solution.nfe,
            "nfe_min": solution.nfe_min,
            "nfe_max": solution.nfe_max,
        }
        rows: list[Record] = [{**columns, **m.columns()} for m in measured]
        shown = {"samples": self._shown(solution.end)} if cell.bank == SCORING else {}
        return Entry(rows, shown)

    def measure_geometry(self, columns: dict[str, Any], digest: str) -> Entry:
        """The three straightness figures, from fine solves."""
        noise = self._bank(SCORING)[:GEOMETRY_SAMPLES]
        model = self._model(SCORING).part(slice(GEOMETRY_SAMPLES))
        native = geometry.native(model, noise)
        linear = geometry.on_linear_path(model, noise)
        start, end = self.model.path.interval
        columns = {
            **columns,
            "solver": REFERENCE,
            "grid": f"uniform_t({geometry.INTERVALS}, {geometry.METHOD})",
            "noise_bank": SCORING,
            "interval": f"[{start:g}, {end:g}]",
            "n_samples": len(noise),
            "batch_size": len(noise),
            "device": self._device.type,
            "status": "ok",
            "run_digest": digest,
        }
        values = {
            "straightness_native": native.straightness,
            "straightness_linear": linear.straightness,
            "arc_over_chord": native.arc_over_chord,
        }
        arrays: dict[str, Array] = {}
        if self.references.dataset.kind == "vector":
            arrays = {
                "times": native.times.cpu().numpy(),
                "trajectories": native.states[:, :SHOWN_TRAJECTORIES].cpu().numpy(),
            }
        return Entry([{**columns, "metric": k, "value": v} for k, v in values.items()], arrays)

    @property
    def _device(self) -> torch.device:
        return next(self.model.network.parameters()).device

    def _bank(self, bank: NoiseBank) -> Tensor:
        if bank not in self._noise:
            count = self.spec.samples[bank]
            noise = starting_noise(self.seed, bank, count, self.references.dataset.shape)
            self._noise[bank] = noise.to(self._device)
        return self._noise[bank]

    def _model(self, bank: NoiseBank) -> PathModel:
        """The model of the samples of a noise bank: bound to their classes, if it knows any."""
        if self.conditional is None:
            return self.model
        known = self.references.dataset.train_labels
        assert known is not None, "a conditional model needs data with classes"
        label = starting_labels(self.seed, bank, self.spec.samples[bank], known)
        return self.model.given(label.to(self._device), self.conditional.guidance)

    def _sample(self, cell: Cell) -> Solution:
        noise = self._bank(cell.bank)

        def fresh(interval: int) -> Tensor:
            shape = tuple(noise.shape[1:])
            return solver_noise(self.seed, cell.bank, len(noise), shape, interval).to(noise)

        request = Request(cell.declaration, cell.nfe, cell.tolerance, cell.grid)
        return sample(self._model(cell.bank), noise, request, self.spec.batch_size, fresh)

    def _has_reference(self, cell: Cell) -> bool:
        return cell.bank == SCORING and cell.declaration.sampler == "ode"

    @cached_property
    def _reference_end(self) -> Tensor:
        """End points ``[m, ...]`` of a fine solve of the first samples of the scoring bank."""
        request = Request(SOLVERS["dopri5"], tolerance=self.spec.reference_tolerance)
        noise = self._bank(SCORING)[: self.spec.reference_samples]
        model = self._model(SCORING).part(slice(len(noise)))
        return sample(model, noise, request, len(noise)).end.cpu()

    def _shown(self, samples: Tensor) -> Array:
        dataset = self.references.dataset
        if dataset.kind == "vector":
            points: Array = samples[:SHOWN_POINTS].cpu().numpy().astype(np.float32)
            return points
        images: Array = dataset.to_uint8(samples[:SHOWN_IMAGES].cpu()).numpy()
        return images


def _without_value(columns: dict[str, Any], status: str, why: str) -> Record:
    return {**columns, "metric": status, "status": status, "error": why}
