"""Make the pairs of a reflow stage from an earlier stage's model, for a block of seeds."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bench.experiment.layout import Layout
from bench.experiment.spec import Experiment
from bench.files import replacing
from bench.registry import aside
from bench.stages.running.devices import ready
from bench.stages.running.job import CHECKPOINT, PAIRS, RESUME, Job, run_jobs
from bench.stages.train import switches

if TYPE_CHECKING:
    import torch

    from bench.data.dataset import DataSet
    from bench.training.budget import Ledger


def run(
    experiment: Experiment,
    layout: Layout,
    *,
    dataset: str,
    label: str,
    stage: str,
    seeds: Sequence[int],
) -> None:
    """Make the pairs of ``stage`` for each seed; finished seeds are left alone."""
    run_jobs(
        experiment,
        layout,
        dataset,
        label,
        stage,
        seeds,
        spend=_spend,
        files=(PAIRS,),
        imports=_imports,
    )


@aside("imports alone")
def _imports() -> None:
    for name in ("bench.training.pairs", "bench.stages.running.assembly"):
        importlib.import_module(name)


def _spend(
    job: Job, data: DataSet, ledger: Ledger, planned: float, device: torch.device
) -> dict[str, Any]:
    from safetensors.torch import save_file

    from bench.models.fast_path import arrange
    from bench.sampling.sample import Request
    from bench.sampling.solvers.catalogue import solver
    from bench.stages.running.assembly import trained
    from bench.training.pairs import PairMaker

    stage = job.formulation.pairing(job.stage)
    source = job.formulation.training(stage.reads)
    network = job.experiment.datasets[job.dataset].network
    checkpoint = job.folder(source.name) / CHECKPOINT
    model = trained(network, data, source, job.seed, checkpoint, device, classes=job.classes)
    on = switches(replace(job, stage=source.name), data, device)
    arrange(model.network, on)
    ready(job.experiment.training.threads, job.experiment.training.precision)
    maker = PairMaker(
        model,
        data.shape,
        Request(solver(stage.solver), stage.nfe),
        ledger,
        job.seed,
        stage.name,
        label=data.train_labels if job.classes else None,
        resume=job.folder(job.stage) / RESUME,
        digest=job.digest,
        compiled="compile" in on,
    )
    with job.progress("pairs") as maker.report:
        made = maker.run(planned, job.experiment.budget.unit)
    tensors = {name: t for name, t in made._asdict().items() if t is not None}
    with replacing(job.folder(job.stage) / PAIRS) as temporary:
        save_file(tensors, temporary)
    (job.folder(job.stage) / RESUME).unlink(missing_ok=True)
    return {"acceleration": list(on)}
