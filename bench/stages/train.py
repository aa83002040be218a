"""Train a network for one stage of a formulation, for a block of seeds."""

from __future__ import annotations

import csv
import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench.experiment.layout import Layout
from bench.experiment.spec import Experiment
from bench.files import replacing
from bench.registry import aside
from bench.stages.running.job import CHECKPOINT, PAIRS, RESUME, Job, about_choice, run_jobs

if TYPE_CHECKING:
    import torch

    from bench.data.dataset import DataSet
    from bench.stages.running.switches import Turn
    from bench.training.batches import Source
    from bench.training.budget import Ledger
    from bench.training.loop import Trainer

LOSSES = "training.csv"

STEPS = 4
"""Updates between two looks at the clock, where switches of the fast path are compared."""


def run(
    experiment: Experiment,
    layout: Layout,
    *,
    dataset: str,
    label: str,
    stage: str,
    seeds: Sequence[int],
) -> None:
    """Train ``stage`` of ``label`` on ``dataset`` for each seed; finished seeds are left alone."""
    run_jobs(
        experiment,
        layout,
        dataset,
        label,
        stage,
        seeds,
        spend=_spend,
        files=(CHECKPOINT, LOSSES),
        imports=_imports,
    )


@aside("imports alone")
def _imports() -> None:
    for name in ("bench.training.loop", "bench.stages.running.assembly"):
        importlib.import_module(name)


def _spend(
    job: Job, data: DataSet, ledger: Ledger, planned: float, device: torch.device
) -> dict[str, Any]:
    from bench.stages.running.assembly import save_weights

    folder = job.folder(job.stage)
    on = switches(job, data, device)
    with job.progress("updates") as report:
        training = trainer(job, data, ledger, device, on=on)
        training.report = report
        training.run(planned, job.experiment.budget.unit)
    save_weights(training.model.network, folder / CHECKPOINT)
    with replacing(folder / LOSSES) as temporary, temporary.open("w", newline="") as stream:
        csv.writer(stream).writerows([("update", "loss"), *training.losses])
    (folder / RESUME).unlink(missing_ok=True)
    return {"acceleration": list(on), "batch_parts": training.parts}


def switches(job: Job, data: DataSet, device: torch.device) -> tuple[str, ...]:
    """Switches of the fast path that the stage trains with; measured now, if they have to be."""
    from bench.stages.running.switches import choose, remembered

    asked = job.experiment.training.acceleration
    if asked != "auto":
        return () if asked == "off" else tuple(asked)
    if device.type == "cpu":
        return ()
    file = job.layout.acceleration(job.dataset, job.label, job.stage)
    about = about_choice(job.experiment, job.dataset, job.label, device)
    return remembered(file, about, lambda: choose(lambda on: _turn(job, data, device, on))).on


def _turn(job: Job, data: DataSet, device: torch.device, on: Sequence[str]) -> Turn:
    """A few updates of the stage at a time, from fresh networks, with some switches on."""
    from bench.training.budget import Ledger, device_clock

    training = trainer(job, data, Ledger(device=device), device, rehearsal=True, on=on)
    training.probe()

    def turn() -> tuple[float, float]:
        start = device_clock(device)
        loss = training.rehearse(STEPS)
        return device_clock(device) - start, float(loss)

    return turn


def trainer(
    job: Job,
    data: DataSet,
    ledger: Ledger,
    device: torch.device,
    *,
    rehearsal: bool = False,
    on: Sequence[str] | None = None,
) -> Trainer:
    """The stage's trainer, its model started and its teacher or pairs read as declared.

    Args:
        rehearsal: read nothing that lies upstream; fresh networks and training data with random
            noise stand in, which cost the same.
        on: switches of the fast path; None for those that the stage trains with.
    """
    from bench.models.fast_path import arrange, round_products
    from bench.stages.running.assembly import assemble, frozen, load_weights
    from bench.training.loop import Settings, Trainer

    on = switches(job, data, device) if on is None else on
    stage, settings = job.formulation.training(job.stage), job.experiment.training
    conditional = job.formulation.conditional
    network = job.experiment.datasets[job.dataset].network
    model = assemble(network, data, stage, job.seed, classes=job.classes)
    if stage.init_from is not None and not rehearsal:
        load_weights(model.network, job.folder(stage.init_from) / CHECKPOINT)
    model.network.to(device)
    objective = stage.objective.build(
        time_sampling=stage.time_sampling.build(), weighting=stage.weighting.build()
    )
    if stage.reads is not None and job.formulation.stage(stage.reads).kind == "train":
        read = job.formulation.training(stage.reads)
        teacher = assemble(network, data, read, job.seed, classes=job.classes)
        if not rehearsal:
            load_weights(teacher.network, job.folder(read.name) / CHECKPOINT)
        objective.teacher = frozen(teacher, device)
    for used in (model, objective.teacher):
        if used is not None:
            arrange(used.network, on)
            if settings.precision == "bf16":
                round_products(used.network)
    return Trainer(
        model=model,
        objective=objective,
        coupling=stage.coupling.build(),
        source=_source(job, data, device, rehearsal),
        settings=Settings(
            batch_size=settings.batch_size,
            learning_rate=job.experiment.learning_rate(job.dataset, job.label),
            warmup=settings.warmup,
            ema_half_life=settings.ema_half_life,
            gradient_clip=settings.gradient_clip,
        ),
        ledger=ledger,
        seed=job.seed,
        dropout=0.0 if conditional is None else conditional.dropout,
        resume=job.folder(job.stage) / RESUME,
        digest=job.digest,
        compiled="compile" in on,
    )


def _source(job: Job, data: DataSet, device: torch.device, rehearsal: bool) -> Source:
    from safetensors.torch import load_file

    from bench.training.batches import FreshNoise, FreshSamples, StoredPairs

    reads, flip = job.declared.reads, job.experiment.training.flip
    pairs = reads is not None and job.formulation.stage(reads).kind != "train"
    if data.unlimited and not pairs:
        assert data.sampler is not None, f"{data.name} is unlimited and cannot be drawn from"
        return FreshSamples(data.sampler, job.seed, device, bool(job.classes), flip)
    if rehearsal or not pairs:
        label = data.train_labels if job.classes else None
        return FreshNoise(
            data.train.to(device),
            job.seed,
            None if label is None else label.to(device),
            flip,
        )
    assert reads is not None
    stored = load_file(job.folder(reads) / PAIRS, device=str(device))
    return StoredPairs(stored["noise"], stored["data"], job.seed, stored.get("label"))
