"""Seconds a sample of every solver and cost: one job alone on an idle device.

The models of the first training seeds (``timing.seeds``) draw one batch each, seed after seed: a
run to warm up, then the median over repeats of wall seconds, with the device synchronised at both
ends. What is said of time rests on the seeds: a round of all labels lies between two of them, with
whatever else happens on the machine. A row whose wall seconds exceed its CPU seconds by a fifth was
measured on a busy machine and says so; so does one whose batch did not fit into memory and was
measured in smaller ones. A cell that fails is a row of its own.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from itertools import product
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

from bench.evidence import records
from bench.evidence.columns import cell_columns, experiment_columns, model_columns
from bench.evidence.records import Record
from bench.experiment import digests
from bench.experiment.cells import Cell, cells, own_grid
from bench.experiment.layout import Layout
from bench.experiment.spec import Experiment
from bench.progress import Progress
from bench.sampling.solvers.catalogue import ADAPTIVE
from bench.stages.running.devices import ready
from bench.stages.running.journal import Entry, Journal
from bench.stages.running.outcome import INCOMPLETE, read_outcome, run_guarded
from bench.stages.running.seconds import Seconds
from bench.stages.running.switches import accelerate, network_batch, switches

if TYPE_CHECKING:
    import torch

    from bench.data.dataset import DataSet
    from bench.formulations.grammar import Formulation
    from bench.models.path_model import PathModel

TABLE = "timing.parquet"
JOURNAL = "journal.jsonl"
BANK = "scoring"
CONTENDED = 1.2
"""Wall over CPU seconds beyond which another process had the core."""
CONTENDED_NOTE = "contended: another process had the core"


def run(experiment: Experiment, layout: Layout, *, dataset: str) -> None:
    """Time every label's cells on ``dataset``; models that failed are left out."""
    run_guarded(
        layout.timing(dataset),
        digests.timing_digest(experiment, dataset),
        partial(_work, experiment, layout, dataset),
        files=[TABLE],
        upstream={"data": layout.data(dataset)},
    )


def _work(experiment: Experiment, layout: Layout, dataset: str, seconds: Seconds) -> dict[str, Any]:
    with seconds("import"):
        device = ready(experiment.training.threads, experiment.training.precision)
        from bench.data.files import load
        from bench.stages.running import assembly

    folder = layout.timing(dataset)
    journal = Journal(folder / JOURNAL)
    rows: list[Record] = []
    left_out: list[str] = []
    with seconds("timing"):
        data = load(layout.data(dataset))
        for seed, label in product(experiment.timed_seeds, experiment.labels):
            formulation = experiment.formulation(label)
            stage = layout.stage(dataset, label, seed, formulation.final.name)
            outcome = read_outcome(stage)
            if outcome is None or outcome["status"] != "ok":
                left_out.append(f"{label} seed {seed}")
                continue
            model = assembly.model(experiment, layout, data, label, seed, device)
            on = switches(experiment, layout, dataset, label, model, data, device)
            accelerate(model, on, network_batch(formulation, experiment.timing.batch_size))
            if formulation.conditional is not None and data.train_labels is not None:
                classes = data.train_labels[: experiment.timing.batch_size].to(device)
                model = model.given(classes, formulation.conditional.guidance)
            base = digests.timing_base(experiment, dataset, label, seed)
            columns = model_columns(experiment, layout, dataset, label, seed)
            name = {column: columns[column] for column in ("label", "formulation")}
            todo = _timed(experiment, formulation)
            where = f"{dataset}/{label}/seed{seed}/timing"
            with Progress(where, len(todo), "cells") as progress:
                for cell in todo:
                    key = digests.cell_digest(base, cell.key())
                    measure = partial(_row, experiment, cell, model, data, columns, base)
                    entry = journal.settled(key, measure, seconds)
                    # Of two labels with one model the second one finds the seconds of the first.
                    rows += [{**row, **name} for row in entry.rows]
                    progress.advance()
    common = experiment_columns(experiment)
    records.write(records.frame({**row, **common} for row in rows), folder / TABLE)
    failed = sum(row["status"] == "failed" for row in rows)
    missing = [
        f"no model of {', '.join(left_out)}" if left_out else None,
        f"{failed} cells failed" if failed else None,
    ]
    return {INCOMPLETE: "; ".join(filter(None, missing)) or None}


def _timed(experiment: Experiment, formulation: Formulation) -> list[Cell]:
    """One cell of each solver and cost, on its own grid: which times they are costs no time."""
    timed_cells: dict[Cell, None] = {}
    for cell in cells(experiment, formulation):
        if cell.bank == BANK and not cell.refused:
            grid = ADAPTIVE if cell.nfe is None else own_grid(formulation, cell.declaration)
            timed_cells.setdefault(replace(cell, grid=grid))
    return list(timed_cells)


def _row(
    experiment: Experiment,
    cell: Cell,
    model: PathModel,
    data: DataSet,
    columns: dict[str, Any],
    digest: str,
) -> Entry:
    device = next(model.network.parameters()).device
    row = {
        **columns,
        **cell_columns(cell),
        "metric": "seconds_per_sample",
        "n_samples": experiment.timing.batch_size,
        "batch_size": experiment.timing.batch_size,
        "device": device.type,
        "status": "ok",
        "run_digest": digest,
    }
    try:
        return Entry(
            [row | _measured(experiment, cell, model, data, columns["train_seed"], device)]
        )
    except Exception as error:
        # What one solver cannot do costs the table no other row.
        why = f"{type(error).__name__}: {error}"
        return Entry([row | {"metric": "failed", "status": "failed", "error": why}])


def _measured(
    experiment: Experiment,
    cell: Cell,
    model: PathModel,
    data: DataSet,
    seed: int,
    device: torch.device,
) -> dict[str, Any]:
    """Seconds a sample, and what they are of."""
    from bench.sampling.banks import starting_noise
    from bench.sampling.sample import Request, sample_what_fits, smaller

    settings = experiment.timing
    noise = starting_noise(seed, BANK, settings.batch_size, data.shape).to(device)
    request = Request(cell.declaration, cell.nfe, cell.tolerance, cell.grid)
    size, nfe = len(noise), 0.0
    wall: list[float] = []
    busy: list[float] = []
    warm = -settings.warmup
    while len(wall) < settings.repeats:
        start, start_busy = _now(device), time.process_time()
        solution = sample_what_fits(model, noise, request, size, lambda interval, part: noise[part])
        taken, taken_busy = _now(device) - start, time.process_time() - start_busy
        if solution.batch_size < size:
            # The batch that did not fit took time, too: all is measured anew with what does.
            size, warm, wall, busy = solution.batch_size, 0, [], []
            continue
        nfe, warm = solution.nfe, warm + 1
        if warm > 0:
            wall.append(taken)
            busy.append(taken_busy)
    seconds = median(wall) / len(noise)
    contended = device.type == "cpu" and median(wall) > CONTENDED * median(busy)
    notes = [
        smaller("batches", len(noise), size),
        CONTENDED_NOTE if contended else None,
    ]
    return {
        "value": seconds,
        "value_se": _quartile_range(wall) / len(noise),
        "seconds_per_sample": seconds,
        "nfe": nfe,
        "batch_size": size,
        "error": "; ".join(filter(None, notes)) or None,
    }


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        import torch

        torch.cuda.synchronize(device)
    return time.perf_counter()


def _quartile_range(values: list[float]) -> float:
    if len(values) < 2:
        return 0.0
    low, _, high = quantiles(values, n=4, method="inclusive")
    return high - low
