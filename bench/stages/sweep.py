"""Sample and score every cell of a block of models.

A cell's rows are appended to a journal under the cell's digest as soon as they are measured: a
sweep that is killed goes on at the next cell, and one more NFE, solver or tolerance computes only
its own cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.evidence import records
from bench.evidence.columns import experiment_columns, model_columns
from bench.experiment import digests
from bench.experiment.cells import Cell, cells, compares_with_exact, evaluations_left, unified_cells
from bench.experiment.layout import Layout
from bench.experiment.spec import Experiment
from bench.files import replacing
from bench.progress import Progress
from bench.stages.running.devices import ready
from bench.stages.running.journal import Array, Entry, Journal
from bench.stages.running.outcome import INCOMPLETE, run_guarded
from bench.stages.running.seconds import Seconds
from bench.stages.running.switches import accelerate, network_batch, overlaps, switches

if TYPE_CHECKING:
    import torch

    from bench.formulations.grammar import Formulation
    from bench.metrics.context import References
    from bench.models.exact import ExactModel
    from bench.models.path_model import PathModel
    from bench.stages.running.model_sweep import Sweep

TABLE = "sweep.parquet"
JOURNAL = "journal.jsonl"
SAMPLES = "samples.safetensors"
TRAJECTORIES = "trajectories.safetensors"

GEOMETRY, FIELD = "geometry", "field"
"""What is measured once a model, beside its cells."""

Draw = Callable[[dict[str, Any], str], Callable[[], Entry]]
"""Samples a piece of a sweep, given its columns and digest; what it returns scores it."""


def run(
    experiment: Experiment, layout: Layout, *, dataset: str, label: str, seeds: Sequence[int]
) -> None:
    """Sweep ``label`` on ``dataset`` for each seed; finished cells are left alone."""
    formulation = experiment.formulation(label)
    final = formulation.final.name
    files = [TABLE, SAMPLES]
    if _has_geometry(experiment, label) and experiment.described(dataset).kind == "vector":
        files.append(TRAJECTORIES)
    shared: dict[str, References] = {}
    for seed in seeds:
        upstream = {"data": layout.data(dataset), final: layout.stage(dataset, label, seed, final)}
        if experiment.described(dataset).extractor is not None:
            upstream["extractor"] = layout.extractor(dataset)
        run_guarded(
            layout.sweep(dataset, label, seed),
            digests.sweep_digest(experiment, dataset, label, seed),
            partial(_work, experiment, layout, dataset, label, seed, shared),
            files=files,
            upstream=upstream,
        )


def _has_geometry(experiment: Experiment, label: str) -> bool:
    """Whether trajectories exist to be measured: a consistency model has none."""
    return experiment.formulation(label).sampler == "ode"


def _work(
    experiment: Experiment,
    layout: Layout,
    dataset: str,
    label: str,
    seed: int,
    shared: dict[str, References],
    seconds: Seconds,
) -> dict[str, Any]:
    with seconds("import"):
        device = ready(experiment.training.threads, experiment.training.precision)
        from bench.stages.running import assembly
        from bench.stages.running.model_sweep import Sweep
        from bench.stages.running.overlap import Overlap
    folder = layout.sweep(dataset, label, seed)
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
        )
        columns = model_columns(experiment, layout, dataset, label, seed)
        base = digests.sweep_base(experiment, dataset, label, seed)
        journal = Journal(folder / JOURNAL)
        todo = (*cells(experiment, formulation), *unified_cells(experiment, formulation))
        entries: dict[Cell | str, Entry] = {}

        beside = overlaps(experiment, layout, dataset, sweep, todo, seconds)
        since = seconds.totals()

        def settle(what: Cell | str, digest: str, entry: Entry) -> None:
            nonlocal since
            entries[what] = journal.settled(digest, lambda: entry, seconds, since)
            since = seconds.totals()

        with (
            Progress(f"{dataset}/{label}/seed{seed}/sweep", len(todo), "cells") as progress,
            Overlap[Entry](seconds, "sampling", "metrics", beside=beside, device=device) as overlap,
        ):

            def take(what: Cell | str, key: Mapping[str, Any], draw: Draw) -> None:
                digest = digests.cell_digest(base, key)
                stored_entry = journal.find(digest)
                score = draw(columns, digest) if stored_entry is None else _giving(stored_entry)
                overlap.finish(score, partial(settle, what, digest))

            for name, measure in _once_a_model(experiment, label, sweep).items():
                take(name, {"solver": None, "what": name}, measure)
            for i, cell in enumerate(todo):
                take(cell, cell.key(), partial(sweep.draw, cell))
                progress.advance(note=evaluations_left(todo[i + 1 :]))
        _write(folder, experiment, entries)
    failed = sum(any(r["status"] == "failed" for r in entry.rows) for entry in entries.values())
    return {
        INCOMPLETE: f"{failed} cells failed" if failed else None,
        "acceleration": list(on),
        "overlap": beside,
    }


def _once_a_model(experiment: Experiment, label: str, sweep: Sweep) -> dict[str, Draw]:
    """What is measured beside the cells, by name."""
    from bench.stages.running.once_a_model import measure_field, measure_geometry

    draws: dict[str, Draw] = {}
    if _has_geometry(experiment, label):
        draws[GEOMETRY] = lambda columns, digest: _giving(measure_geometry(sweep, columns, digest))
    if sweep.exact is not None:
        draws[FIELD] = lambda columns, digest: _giving(measure_field(sweep, columns, digest))
    return draws


def _giving(entry: Entry) -> Callable[[], Entry]:
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


def _write(folder: Path, experiment: Experiment, entries: Mapping[Cell | str, Entry]) -> None:
    """The table of all rows, and the arrays that figures show."""
    from safetensors.numpy import save_file

    common = experiment_columns(experiment)
    rows = [{**row, **common} for entry in entries.values() for row in entry.rows]
    shown: dict[str, Array] = {}
    for cell, entry in entries.items():
        if isinstance(cell, Cell) and "samples" in entry.arrays:
            # Of several grids the first one is shown.
            cost = cell.tolerance if cell.nfe is None else cell.nfe
            shown.setdefault(f"{cell.solver}|{cost}", entry.arrays["samples"])
    traced = entries[GEOMETRY].arrays if GEOMETRY in entries else {}
    with replacing(folder / SAMPLES) as temporary:
        save_file(shown, temporary)
    if traced:
        with replacing(folder / TRAJECTORIES) as temporary:
            save_file(dict(traced), temporary)
    records.write(records.frame(rows), folder / TABLE)
