"""The cells of one model, sampled and scored one after the other, and kept in a journal.

A cell's rows are appended to the journal under the cell's digest as soon as they are measured: what
is killed goes on at the next cell, and one more NFE, solver or tolerance computes only its own
cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.evidence import records
from bench.evidence.columns import experiment_columns, model_columns
from bench.experiment import digests
from bench.experiment.cells import Cell, compares_with_exact, evaluations_left
from bench.experiment.layout import Layout
from bench.experiment.spec import Experiment
from bench.progress import Progress
from bench.stages.running.devices import ready
from bench.stages.running.journal import Entry, Journal
from bench.stages.running.seconds import Seconds
from bench.stages.running.switches import accelerate, network_batch, overlaps, switches

if TYPE_CHECKING:
    import torch

    from bench.formulations.grammar import Formulation
    from bench.metrics.context import References
    from bench.models.exact import ExactModel
    from bench.models.path_model import PathModel
    from bench.stages.running.model_sweep import Sweep

JOURNAL = "journal.jsonl"

Draw = Callable[[dict[str, Any], str], Callable[[], Entry]]
"""Samples a piece of a sweep, given its columns and digest; what it returns scores it."""

Entries = dict[Cell | str, Entry]
"""What was measured of each cell, and of what is measured once a model, by its name."""


@dataclass(frozen=True)
class Model:
    """A trained model whose cells are measured, and the stage that measures them.

    Args:
        experiment, layout: whose it is.
        dataset, label, seed: which.
        verb: the stage, ``sweep`` or ``screen``: its journal lies in its folder, and its code
            belongs to the digests of its cells.
    """

    experiment: Experiment
    layout: Layout
    dataset: str
    label: str
    seed: int
    verb: str

    @property
    def folder(self) -> Path:
        """Where the stage keeps its files."""
        return getattr(self.layout, self.verb)(self.dataset, self.label, self.seed)

    @property
    def upstream(self) -> dict[str, Path]:
        """Folders of the stages that it reads: samples, their extractor, the trained model."""
        layout, final = self.layout, self.experiment.formulation(self.label).final.name
        stages = {
            "data": layout.data(self.dataset),
            final: layout.stage(self.dataset, self.label, self.seed, final),
        }
        if self.experiment.described(self.dataset).extractor is not None:
            stages["extractor"] = layout.extractor(self.dataset)
        return stages


def measure(
    of: Model,
    todo: Sequence[Cell],
    once_a_model: Callable[[Sweep], Mapping[str, Draw]],
    shared: dict[str, References],
    seconds: Seconds,
) -> tuple[Entries, dict[str, Any]]:
    """Sample and score the cells of a model that its journal does not hold yet.

    Args:
        of: the model.
        todo: its cells.
        once_a_model: what else is measured of it, by name.
        shared: real samples by data set, loaded by the first model of a job.
        seconds: charged with importing, sampling and metrics.

    Returns:
        What was measured, and how fast: entries of the stage's outcome.
    """
    experiment, layout = of.experiment, of.layout
    dataset, label, seed = of.dataset, of.label, of.seed
    with seconds("import"):
        device = ready(experiment.training.threads, experiment.training.precision)
        from bench.stages.running import assembly
        from bench.stages.running.model_sweep import Sweep
        from bench.stages.running.overlap import Overlap
    with seconds("sampling"):
        if not shared:
            shared[dataset] = _references(experiment, layout, dataset, device)
        formulation = experiment.formulation(label)
        model = assembly.model(experiment, layout, shared[dataset].dataset, label, seed, device)
        on = switches(experiment, layout, dataset, label, model, shared[dataset].dataset, device)
        accelerate(model, on, network_batch(formulation, experiment.sweep.batch_size))
        sweep = Sweep(
            model=model,
            conditional=formulation.conditional,
            seed=seed,
            spec=experiment.sweep_of(dataset),
            references=shared[dataset],
            seconds=seconds,
            device=device,
            exact=_exact(formulation, shared[dataset], model),
            only=experiment.described(dataset).primary if of.verb == "screen" else None,
        )
        columns = model_columns(experiment, layout, dataset, label, seed)
        base = digests.sweep_base(experiment, dataset, label, seed, of.verb)
        journal = Journal(of.folder / JOURNAL)
        entries: Entries = {}

        beside = overlaps(experiment, layout, dataset, sweep, todo, seconds)
        since = seconds.totals()

        def settle(what: Cell | str, digest: str, entry: Entry) -> None:
            nonlocal since
            entries[what] = journal.settled(digest, lambda: entry, seconds, since)
            since = seconds.totals()

        with (
            Progress(f"{dataset}/{label}/seed{seed}/{of.verb}", len(todo), "cells") as progress,
            Overlap[Entry](seconds, "sampling", "metrics", beside=beside, device=device) as overlap,
        ):

            def take(what: Cell | str, key: Mapping[str, Any], draw: Draw) -> None:
                digest = digests.cell_digest(base, key)
                stored_entry = journal.find(digest)
                score = draw(columns, digest) if stored_entry is None else giving(stored_entry)
                overlap.finish(score, partial(settle, what, digest))

            for name, measured in once_a_model(sweep).items():
                take(name, {"solver": None, "what": name}, measured)
            for i, cell in enumerate(todo):
                take(cell, cell.key(), partial(sweep.draw, cell))
                progress.advance(note=evaluations_left(todo[i + 1 :]))
    return entries, {"acceleration": list(on), "overlap": beside}


def failed_cells(entries: Entries) -> str | None:
    """How many cells have failed, in words."""
    failed = sum(any(r["status"] == "failed" for r in entry.rows) for entry in entries.values())
    return f"{failed} cells failed" if failed else None


def write_rows(
    experiment: Experiment, entries: Entries, path: Path, note: str | None = None
) -> None:
    """Write the table of all rows; ``note`` is said of each that has a value."""
    common = experiment_columns(experiment)
    rows = [{**row, **common} for entry in entries.values() for row in entry.rows]
    if note is not None:
        rows = [
            row | {"error": "; ".join(filter(None, (row.get("error"), note)))}
            if row.get("status", "ok") == "ok"
            else row
            for row in rows
        ]
    records.write(records.frame(rows), path)


def giving(entry: Entry) -> Callable[[], Entry]:
    """What has been measured already, for those who would score it."""
    return lambda: entry


def _exact(formulation: Formulation, real: References, model: PathModel) -> ExactModel | None:
    """The exact flow that a model should have learnt, where it is known."""
    from bench.models.exact import ExactModel

    law = real.dataset.mixture
    if law is None or not compares_with_exact(formulation):
        return None
    if formulation.conditional is not None and law.labels is None:
        return None
    return ExactModel(law.to(next(model.network.parameters()).device), model.path)


def _references(
    experiment: Experiment, layout: Layout, dataset: str, device: torch.device
) -> References:
    from bench.data.files import load
    from bench.stages.running.assembly import references

    return references(experiment, layout, load(layout.data(dataset)), device)
