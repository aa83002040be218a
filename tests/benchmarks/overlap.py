"""Seconds of a sweep that scores each cell beside the sampling of the next one, over those without.

Run from the repository's root, after the experiment, on a machine that does nothing else:

    OMP_NUM_THREADS=1 .venv/bin/python tests/benchmarks/overlap.py configs/fashion_small.yaml 1 4

Printed for each of the numbers of evaluations (all that are swept, if none is named): wall seconds
of a few cells of the experiment's first model, one block of samples each, with all of its metrics;
the share of them that scoring takes; and the median of the ratios with its quartiles, each of two
runs in turns. On the CPU the thread that scores takes a second core, which is why sweeps leave it
off there: their jobs have one each.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import median, quantiles

from bench.data.files import load
from bench.experiment import loading
from bench.experiment.cells import SCORING, Cell, cells
from bench.experiment.layout import Layout
from bench.stages.running import assembly
from bench.stages.running.assembly import references
from bench.stages.running.devices import ready
from bench.stages.running.journal import Entry
from bench.stages.running.model_sweep import Sweep
from bench.stages.running.overlap import Overlap
from bench.stages.running.seconds import Seconds
from bench.stages.running.switches import accelerate, network_batch, switches

CELLS, TURNS = 4, 5


def seconds(sweep: Sweep, cell: Cell, *, beside: bool) -> tuple[float, float]:
    """Wall seconds of a few cells, and the CPU seconds of scoring them."""
    meter = Seconds()
    found: list[Entry] = []
    start = time.perf_counter()
    with (
        meter("sampling"),
        Overlap[Entry](meter, "sampling", "metrics", beside=beside, device=sweep.device) as overlap,
    ):
        for _ in range(CELLS):
            overlap.finish(sweep.draw(cell, {}, ""), found.append)
    taken = time.perf_counter() - start
    assert all(row["status"] == "ok" for entry in found for row in entry.rows), found[0].rows
    return taken, meter.totals()["metrics"]


def main(config: str, *wanted: int) -> None:
    """Print one line for each number of evaluations."""
    experiment = loading.load(config)
    layout = Layout(Path("results", experiment.name))
    name, label, seed = next(iter(experiment.datasets)), experiment.labels[0], experiment.seeds[0]
    device = ready(experiment.training.threads, experiment.training.precision)
    data = load(layout.data(name))
    formulation = experiment.formulation(label)
    model = assembly.model(experiment, layout, data, label, seed, device)
    on = switches(experiment, layout, name, label, model, data, device)
    accelerate(model, on, network_batch(formulation, experiment.sweep.batch_size))
    sweep = Sweep(
        model,
        formulation.conditional,
        seed,
        experiment.sweep,
        references(experiment, layout, data, device),
        Seconds(),
        device,
    ).rehearsal()
    swept = [cell for cell in cells(experiment, formulation) if cell.nfe and not cell.refused]
    chosen = {cell.nfe: replace(cell, bank=SCORING) for cell in reversed(swept)}
    print(f"{label} on {name}, {CELLS} cells of {experiment.sweep.block} samples, {device.type}")
    for nfe in wanted or sorted(nfe for nfe in chosen if nfe):
        cell, found = chosen[nfe], []
        for _ in range(-1, TURNS):
            (beside, _), (plain, scoring) = (
                seconds(sweep, cell, beside=which) for which in (True, False)
            )
            found.append((beside, plain, scoring))
        del found[0]
        low, middle, high = quantiles([beside / plain for beside, plain, _ in found], n=4)
        share = median(scoring / plain for _, plain, scoring in found)
        print(
            f"  {cell.solver} {nfe:3}: {median(plain for _, plain, _ in found):7.2f} s, of which "
            f"scoring {share:4.0%}; beside {middle:.3f} ({low:.3f} to {high:.3f})",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
