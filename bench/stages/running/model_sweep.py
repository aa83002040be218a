"""Samples and scores of one model: what a cell of a sweep does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.evidence.columns import cell_columns
from bench.evidence.records import Record
from bench.experiment.cells import SCORING, Cell
from bench.experiment.sections import SweepSpec
from bench.formulations.grammar import TABULATED, Conditional
from bench.formulations.grammar import path as declare
from bench.metrics.context import Context, References
from bench.metrics.measurement import evaluate
from bench.metrics.measures import energy
from bench.models.exact import TOLERANCE, ExactModel
from bench.models.path_model import PathModel
from bench.models.paths import Path
from bench.sampling.banks import NoiseBanks
from bench.sampling.fitted_grids import Fitted, adapted_grid, searched_times
from bench.sampling.path_change import PathChange, common_log_snr
from bench.sampling.sample import Flow, Request, Solution, sample_what_fits, smaller
from bench.sampling.solvers.catalogue import ADAPTED, SEARCHED, SOLVERS, Family
from bench.sampling.solvers.grids import Grid
from bench.stages.running.journal import Array, Entry
from bench.streams import stream

REFERENCE = "reference"
"""Name of the fine solve in the records: dopri5 at ``sweep.reference_tolerance``."""

VIEW_GRID = "uniform_log_snr"
"""Grid of a model that was changed to another path."""

PILOT = "pilot"
"""Noise bank of what is fitted to a model before it is sampled."""

PILOT_SAMPLES, PILOT_SOLVES = 597, 64
"""Samples of the bank ``pilot``, and how many of them a pilot solve follows."""

SETUP = "setup.evaluations"
"""Evaluations of the network, in samples, that a grid made for a model took."""

SHOWN_IMAGES = 64
SHOWN_POINTS = 597


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
        device: where the model is.
        exact: the exact flow that the model should have learnt, on its path; None where it is not
            known.
        only: the metric that is measured of samples; None for all that apply.
        dtype: precision of the states.
    """

    model: Flow
    conditional: Conditional | None
    seed: int
    spec: SweepSpec
    references: References
    seconds: Callable[[str], AbstractContextManager[None]]
    device: torch.device
    exact: ExactModel | None = None
    only: str | None = None
    dtype: torch.dtype = torch.float32
    _grids: dict[Family, Fitted] = field(default_factory=dict)
    _fine: dict[tuple[str, ...], Solution] = field(default_factory=dict)

    def measure(self, cell: Cell, columns: dict[str, Any], digest: str) -> Entry:
        """Sample and score one cell; a refusal or a failure is a row of its own."""
        score = self.draw(cell, columns, digest)
        with self.seconds("metrics"):
            return score()

    def draw(self, cell: Cell, columns: dict[str, Any], digest: str) -> Callable[[], Entry]:
        """Sample one cell; what is returned scores it, on any thread, and charges nothing."""
        flow = self._flow(self.model_of(cell.bank), cell)
        columns = {
            **columns,
            **cell_columns(cell),
            **self.about(flow.path, cell.bank, self.spec.samples[cell.bank], digest),
            "batch_size": self.spec.batch_size,
        }
        if cell.path is not None:
            columns["interval"] = _log_snr(flow.path)
        if cell.refused is not None:
            return _row(_without_value(columns, "refused", cell.refused))
        try:
            solution = self._sample(cell, flow)
            ends = _scored(flow, solution.end).float().cpu()
            fine = self.fine_end(cell.among) if self._has_fine(cell) else None
            exact = self.exact_end if self._has_fine(cell) and cell.path is None else None
        except Exception as error:
            # One broken cell is a row of the table; the rest of the sweep goes on.
            return _row(_failed(columns, error))
        solves = [x for x in (fine, exact) if x is not None]
        least = min((x.batch_size for x in solves), default=self._compared)
        notes = [
            smaller("batches", self.spec.batch_size, solution.batch_size),
            smaller("fine solves", self._compared, least),
        ]
        columns |= {
            "n_samples": len(ends),
            "batch_size": solution.batch_size,
            "error": "; ".join(note for note in notes if note) or None,
            "nfe": solution.nfe,
            "nfe_min": solution.nfe_min,
            "nfe_max": solution.nfe_max,
        }
        made: list[Record] = []
        if cell.grid in (ADAPTED, SEARCHED):
            spent = self._fitted(cell.declaration.family).evaluations
            made.append({**columns, "metric": SETUP, "value": spent})
        is_shown = cell.bank == SCORING and cell.path is None
        fine_end, exact_end = (None if x is None else x.end[: len(ends)] for x in (fine, exact))

        def score() -> Entry:
            try:
                context = Context(ends, self.references, fine_end, exact_end)
                measured = evaluate(context, self.only)
            except Exception as error:
                return _row(_failed(columns, error))()
            rows: list[Record] = [{**columns, **m.columns()} for m in measured]
            return Entry([*rows, *made], {"samples": self._shown(ends)} if is_shown else {})

        return score

    def rehearsal(self) -> Sweep:
        """The same sweep with one block of samples and nothing to compare it with."""
        fewer = self.spec.model_copy(update={"samples": {SCORING: self.spec.block}})
        return Sweep(
            self.model,
            self.conditional,
            self.seed,
            fewer,
            self.references,
            self.seconds,
            self.device,
            dtype=self.dtype,
        )

    def about(self, path: Path, bank: str | None, count: int, digest: str) -> dict[str, Any]:
        """Columns of samples on a path."""
        start, end = path.interval
        return {
            "noise_bank": bank,
            "interval": f"[{start:g}, {end:g}]",
            "n_samples": count,
            "batch_size": count,
            "device": self.device.type,
            "status": "ok",
            "run_digest": digest,
        }

    @cached_property
    def _sizes(self) -> dict[str, int]:
        """Samples of each noise bank."""
        return {PILOT: PILOT_SAMPLES, **dict(self.spec.samples.items())}

    @cached_property
    def _banks(self) -> NoiseBanks:
        shape = self.references.dataset.shape
        return NoiseBanks(self.seed, self._sizes, shape, self.device, self.dtype)

    def noise(self, bank: str) -> Tensor:
        """Starting noise of a bank."""
        return self._banks.noise(bank)

    def _labels(self, bank: str) -> Tensor:
        train_labels = self.references.dataset.train_labels
        assert train_labels is not None, "a conditional model needs data with classes"
        return self._banks.labels(bank, train_labels)

    def model_of(self, bank: str) -> Flow:
        """The model of the samples of a noise bank: bound to their classes, if it knows any."""
        if self.conditional is None:
            return self.model
        assert isinstance(self.model, PathModel), "only models are told classes"
        return self.model.given(self._labels(bank), self.conditional.guidance)

    def _flow(self, model: Flow, cell: Cell) -> Flow:
        """The model on the path of a cell: its own, or another one over the range they share."""
        return model if cell.path is None else _changed(model, cell.path, cell.among)

    def _sample(self, cell: Cell, flow: Flow) -> Solution:
        grid: str | Grid = cell.grid if cell.path is None else VIEW_GRID
        if cell.grid in (ADAPTED, SEARCHED):
            grid = self._fitted(cell.declaration.family).grid
        request = Request(cell.declaration, cell.nfe, cell.tolerance, grid)
        noise, fresh = self.noise(cell.bank), self._banks.fresh(cell.bank)
        return sample_what_fits(flow, noise, request, self.spec.batch_size, fresh)

    def _fitted(self, family: Family) -> Fitted:
        """The grid that is made for the model and the solvers of a family."""
        if family not in self._grids:
            model, noise = self.model_of(PILOT), self.noise(PILOT)
            if family == "consistency":
                train = self.references.dataset.train
                drawn = torch.randperm(len(train), generator=stream(self.seed, "bank", PILOT))
                real = train[drawn[:PILOT_SAMPLES]]
                self._grids[family] = searched_times(
                    model,
                    noise,
                    self._banks.fresh(PILOT),
                    lambda samples: energy.distance(samples.cpu(), real),
                    max(self.spec.few_step_nfe),
                )
            else:
                few = slice(PILOT_SOLVES)
                self._grids[family] = adapted_grid(model.part(few), noise[few], family)
        return self._grids[family]

    def _has_fine(self, cell: Cell) -> bool:
        solver = cell.declaration
        return cell.bank == SCORING and solver.sampler == "ode" and not solver.stochastic

    @property
    def _compared(self) -> int:
        """Samples of the scoring bank that are solved finely, all at once where they fit."""
        return min(self.spec.reference_samples, self._sizes[SCORING])

    def fine_end(self, among: tuple[str, ...]) -> Solution:
        """Fine solve of the first ``m`` samples of the scoring bank: ends ``[m, ...]``.

        Args:
            among: paths whose common range it covers, on the model's own path; empty for the
                whole interval.
        """
        if among not in self._fine:
            model = self.model_of(SCORING).part(slice(self.spec.reference_samples))
            flow = _changed(model, None, among) if among else model
            solution = self._fine_solve(flow, self.spec.reference_tolerance, self.dtype)
            self._fine[among] = replace(solution, end=_scored(flow, solution.end).cpu())
        return self._fine[among]

    @cached_property
    def exact_end(self) -> Solution | None:
        """The same of the exact flow from the same noise, in float64."""
        if self.exact is None:
            return None
        flow = self.exact
        if self.conditional is not None:
            flow = flow.given(self._labels(SCORING)[: self.spec.reference_samples])
        solution = self._fine_solve(flow, TOLERANCE, torch.float64)
        return replace(solution, end=solution.end.cpu())

    def _fine_solve(self, flow: Flow, tolerance: float, dtype: torch.dtype) -> Solution:
        noise = self.noise(SCORING)[: self._compared].to(dtype)
        request = Request(SOLVERS["dopri5"], tolerance=tolerance)
        return sample_what_fits(flow, noise, request, len(noise))

    def _shown(self, samples: Tensor) -> Array:
        dataset = self.references.dataset
        if dataset.kind == "vector":
            points: Array = samples[:SHOWN_POINTS].cpu().numpy().astype(np.float32)
            return points
        images: Array = dataset.to_uint8(samples[:SHOWN_IMAGES].cpu()).numpy()
        return images


def _without_value(columns: dict[str, Any], status: str, why: str) -> Record:
    return {**columns, "metric": status, "status": status, "error": why}


def _failed(columns: dict[str, Any], error: Exception) -> Record:
    return _without_value(columns, "failed", f"{type(error).__name__}: {error}")


def _row(record: Record) -> Callable[[], Entry]:
    """A cell that leaves one row and needs no scoring."""
    return lambda: Entry([record])


def _changed(model: Flow, name: str | None, among: tuple[str, ...]) -> PathChange:
    """The model on a path over the range that ``among`` share with it; None keeps its own path."""
    shared = common_log_snr([model.path, *(_path(path_name) for path_name in among)])
    path = model.path if name in (None, TABULATED.name) else _path(name)
    # A path of the model's own kind keeps the options that the model was trained with.
    is_own = type(path) is type(model.path)
    return PathChange(model, model.path if is_own else path, shared)


def _path(name: str) -> Path:
    path: Path = declare(name).build()
    return path


def _scored(flow: Flow, end: Tensor) -> Tensor:
    """End points as they are scored: where paths were changed, in the scale of the data.

    Paths end at one noise level but at different alphas; dividing by alpha makes them one state.
    """
    if not isinstance(flow, PathChange):
        return end
    last = torch.tensor([flow.path.interval[1]], dtype=torch.float64)
    return end / float(flow.path.coefficients(last).alpha)


def _log_snr(path: Path) -> str:
    """The interval of a path in log_snr, which is the same on every path of the unified view."""
    ends = torch.tensor(path.interval, dtype=torch.float64)
    low, high = path.log_snr(ends).tolist()
    return f"log_snr [{low:.4g}, {high:.4g}]"
