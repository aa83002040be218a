"""Measure seconds a step, for budgets in device seconds; runs alone on the machine.

The figures are written once and are inputs of training: the number of updates follows from them,
so that a run can be repeated on a busier or slower machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.experiment import digests
from bench.experiment.layout import Layout
from bench.experiment.spec import Experiment
from bench.stages.running.devices import ready
from bench.stages.running.job import Job
from bench.stages.running.outcome import run_guarded
from bench.stages.running.seconds import Seconds
from bench.stages.train import switches, trainer

if TYPE_CHECKING:
    import torch

    from bench.data.dataset import DataSet

REPEATS = 5
STEPS = 20
"""The figure is the median over repeats of the mean over this many steps, after one to warm up."""


def run(experiment: Experiment, layout: Layout, *, dataset: str, label: str) -> None:
    """Measure every stage of ``label`` on ``dataset``."""
    run_guarded(
        layout.calibration(dataset, label),
        digests.calibration_digest(experiment, dataset, label),
        partial(_work, experiment, layout, dataset, label),
        upstream={"data": layout.data(dataset)},
    )


def _work(
    experiment: Experiment, layout: Layout, dataset: str, label: str, seconds: Seconds
) -> dict[str, Any]:
    with seconds("import"):
        device = ready(experiment.training.threads)
        from bench.data.files import load

    with seconds("timing"):
        data = load(layout.data(dataset))
        measured = {}
        for stage in experiment.formulation(label).stages:
            job = Job(experiment, layout, dataset, label, stage.name, experiment.seeds[0])
            if stage.kind == "pairs":
                measured[stage.name] = {"pairs": _seconds_per_chunk(job, data, device)}
            else:
                measured[stage.name] = {"update": _seconds_per_update(job, data, device)}
    return {"seconds_per_step": measured}


def _seconds_per_update(job: Job, data: DataSet, device: torch.device) -> float:
    """Seconds an update of the stage, from a fresh network: its cost does not depend on weights."""
    from bench.training.budget import Ledger, device_clock

    ready(job.experiment.training.threads)
    training = trainer(job, data, Ledger(device=device), device, rehearsal=True)
    training.probe()
    return _median(lambda: training.rehearse(STEPS), lambda: device_clock(device)) / STEPS


def _seconds_per_chunk(job: Job, data: DataSet, device: torch.device) -> float:
    """Seconds a chunk of pairs, from a fresh network."""
    import torch

    from bench.models.fast_path import arrange, compile_forward
    from bench.models.meter import counted
    from bench.sampling.sample import Request, solve
    from bench.sampling.solvers.catalogue import solver
    from bench.stages.running.assembly import assemble, frozen
    from bench.streams import stream
    from bench.training.budget import device_clock
    from bench.training.pairs import CHUNK

    stage = job.formulation.pairing(job.stage)
    source = job.formulation.training(stage.reads)
    network = job.experiment.datasets[job.dataset].network
    model = frozen(assemble(network, data, source, job.seed, classes=job.classes), device)
    on = switches(replace(job, stage=stage.reads), data, device)
    arrange(model.network, on)
    ready(job.experiment.training.threads, job.experiment.training.precision)
    if "compile" in on:
        compile_forward(model.network, batch=CHUNK)
    start = torch.randn(CHUNK, *data.shape, generator=stream("calibrate")).to(device)
    request = Request(solver(stage.solver), stage.nfe)

    def chunk() -> None:
        with torch.no_grad(), counted():
            solve(model, start, request)

    return _median(chunk, lambda: device_clock(device))


def _median(work: Callable[[], object], clock: Callable[[], float]) -> float:
    """Median seconds of ``work`` over the repeats, after one run to warm up."""
    work()
    taken = []
    for _ in range(REPEATS):
        start = clock()
        work()
        taken.append(clock() - start)
    return median(taken)
