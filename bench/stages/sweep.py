"""Sample and score the cells of a block of models.

Where samplers are screened (``sweep.screen``) these are the best of the screens of all seeds, see
:mod:`bench.evidence.screening`; otherwise every solver on every grid in both noise banks. What is
killed goes on at the next cell, see :mod:`bench.stages.running.cell_by_cell`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.evidence.screening import scored_cells
from bench.experiment import digests
from bench.experiment.cells import Cell, cells, unified_cells
from bench.experiment.layout import Layout
from bench.experiment.spec import Experiment
from bench.files import replacing
from bench.stages.running.cell_by_cell import (
    Draw,
    Entries,
    Model,
    failed_cells,
    giving,
    measure,
    write_rows,
)
from bench.stages.running.journal import Array
from bench.stages.running.outcome import INCOMPLETE, run_guarded
from bench.stages.running.screens import read_screens
from bench.stages.running.seconds import Seconds

if TYPE_CHECKING:
    from bench.metrics.context import References
    from bench.stages.running.model_sweep import Sweep

TABLE = "sweep.parquet"
SAMPLES = "samples.safetensors"
TRAJECTORIES = "trajectories.safetensors"

GEOMETRY, FIELD = "geometry", "field"
"""What is measured once a model, beside its cells."""


def run(
    experiment: Experiment, layout: Layout, *, dataset: str, label: str, seeds: Sequence[int]
) -> None:
    """Sweep ``label`` on ``dataset`` for each seed; finished cells are left alone."""
    files = [TABLE, SAMPLES]
    if _has_geometry(experiment, label) and experiment.described(dataset).kind == "vector":
        files.append(TRAJECTORIES)
    shared: dict[str, References] = {}
    for seed in seeds:
        of = Model(experiment, layout, dataset, label, seed, "sweep")
        run_guarded(
            of.folder,
            digests.sweep_digest(experiment, dataset, label, seed),
            partial(_work, of, shared),
            files=files,
            upstream=of.upstream,
        )


def _has_geometry(experiment: Experiment, label: str) -> bool:
    """Whether trajectories exist to be measured: a consistency model has none."""
    return experiment.formulation(label).sampler == "ode"


def _work(of: Model, shared: dict[str, References], seconds: Seconds) -> dict[str, Any]:
    todo, without = _choice(of)
    once = partial(_once_a_model, of.experiment, of.label)
    entries, told = measure(of, todo, once, shared, seconds)
    with seconds("sampling"):
        _write(of.folder, entries)
        write_rows(of.experiment, entries, of.folder / TABLE, without)
    missing = "; ".join(filter(None, (failed_cells(entries), without)))
    return {INCOMPLETE: missing or None, **told}


def _choice(of: Model) -> tuple[tuple[Cell, ...], str | None]:
    """The cells of a sweep, and which screens could not take part in their choice, in words."""
    experiment, formulation = of.experiment, of.experiment.formulation(of.label)
    view, without = unified_cells(experiment, formulation), None
    if experiment.sweep.screen is None:
        return (*cells(experiment, formulation), *view), without
    screens, without = read_screens(of)
    chosen = scored_cells(experiment, of.dataset, of.label, of.seed, screens)
    return (*chosen, *view), without


def _once_a_model(experiment: Experiment, label: str, sweep: Sweep) -> dict[str, Draw]:
    """What is measured beside the cells, by name."""
    from bench.stages.running.once_a_model import measure_field, measure_geometry

    draws: dict[str, Draw] = {}
    if _has_geometry(experiment, label):
        draws[GEOMETRY] = lambda columns, digest: giving(measure_geometry(sweep, columns, digest))
    if sweep.exact is not None:
        draws[FIELD] = lambda columns, digest: giving(measure_field(sweep, columns, digest))
    return draws


def _write(folder: Path, entries: Entries) -> None:
    """The arrays that figures show."""
    from safetensors.numpy import save_file

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
