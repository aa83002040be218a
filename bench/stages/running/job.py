"""One stage of one model: what the stages that spend a budget share."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import BudgetError
from bench.experiment import digests
from bench.experiment.layout import LEDGER, OUTCOME, Layout
from bench.experiment.spec import Experiment
from bench.files import read_json, write_json
from bench.formulations.grammar import Formulation, Stage
from bench.progress import Progress
from bench.stages.running.devices import ready
from bench.stages.running.outcome import run_guarded
from bench.stages.running.seconds import Seconds

if TYPE_CHECKING:
    import torch

    from bench.data.dataset import DataSet
    from bench.training.budget import Ledger

CHECKPOINT = "checkpoint.safetensors"
PAIRS = "pairs.safetensors"
RESUME = "resume.safetensors"

SMALLEST_FRACTION = 0.98
"""A finished model has spent at least this much of what was planned, and never more than all."""


def ancestors(formulation: Formulation, stage: str) -> tuple[str, ...]:
    """All stages that ``stage`` builds on, directly or not, in the order they run."""
    wanted = set(formulation.stage(stage).upstream)
    for earlier in reversed(formulation.stages):
        if earlier.name in wanted:
            wanted |= set(earlier.upstream)
    return tuple(s.name for s in formulation.stages if s.name in wanted)


@dataclass(frozen=True)
class Job:
    """One stage of one model."""

    experiment: Experiment
    layout: Layout
    dataset: str
    label: str
    stage: str
    seed: int

    @property
    def formulation(self) -> Formulation:
        """The formulation behind the label."""
        return self.experiment.formulation(self.label)

    @property
    def declared(self) -> Stage:
        """The stage's declaration."""
        return self.formulation.stage(self.stage)

    @property
    def classes(self) -> int:
        """Number of classes that the network is told, 0 for none."""
        return self.experiment.classes(self.dataset, self.label)

    @property
    def ancestors(self) -> tuple[str, ...]:
        """Stages this one builds on."""
        return ancestors(self.formulation, self.stage)

    @property
    def digest(self) -> str:
        """Digest of all that the result depends on."""
        return digests.stage_digest(
            self.experiment, self.dataset, self.label, self.stage, self.seed
        )

    def folder(self, stage: str) -> Path:
        """Folder of a stage of this model."""
        return self.layout.stage(self.dataset, self.label, self.seed, stage)

    @contextmanager
    def progress(self, unit: str) -> Iterator[Callable[[int, int], None]]:
        """Progress of a loop whose length is known once its first step has been measured.

        Yields:
            A function of (done, total).
        """
        title = f"{self.dataset}/{self.label}/seed{self.seed}/{self.stage}"
        with ExitStack() as stack:
            progress: Progress | None = None
            last = 0

            def report(done: int, total: int) -> None:
                nonlocal progress, last
                if progress is None:
                    last = done - 1
                    progress = stack.enter_context(Progress(title, total, unit, done=last))
                progress.advance(done - last)
                last = done

            yield report


Spend = Callable[[Job, "DataSet", "Ledger", float, "torch.device"], Mapping[str, Any] | None]
"""Spends the planned units and leaves the stage's files; returns what its outcome says of how."""


def run_jobs(
    experiment: Experiment,
    layout: Layout,
    dataset: str,
    label: str,
    stage: str,
    seeds: Sequence[int],
    spend: Spend,
    files: Sequence[str],
    imports: Callable[[], None],
) -> None:
    """Run one stage for each seed; finished seeds are left alone, a failure is an outcome.

    Args:
        experiment, layout, dataset, label, stage, seeds: which stage of which models.
        spend: does the work.
        files: what it leaves beside the ledger.
        imports: imports what it needs, beforehand, so that it is not charged as training.
    """
    for seed in seeds:
        job = Job(experiment, layout, dataset, label, stage, seed)
        needed = {name: job.folder(name) for name in job.ancestors}
        needed["data"] = layout.data(dataset)
        if experiment.budget.unit == "device_seconds":
            needed["calibration"] = layout.calibration(dataset, label)
        run_guarded(
            job.folder(stage),
            job.digest,
            partial(_work, job, spend, imports),
            files=(LEDGER, *files),
            upstream=needed,
        )


def about_choice(
    experiment: Experiment, dataset: str, label: str, device: torch.device
) -> dict[str, Any]:
    """What a measured choice of the fast path holds for: the GPU, and the work with its batch."""
    import torch

    work = digests.calibration_digest(experiment, dataset, label)
    return {"device": torch.cuda.get_device_name(device), "work": work}


def _work(job: Job, spend: Spend, imports: Callable[[], None], seconds: Seconds) -> dict[str, Any]:
    with seconds("import"):
        device = ready(job.experiment.training.threads)
        from bench.data.files import load
        from bench.training.budget import Ledger

        imports()

    budget = job.experiment.budget
    folder = job.folder(job.stage)
    folder.mkdir(parents=True, exist_ok=True)
    earlier = [read_json(job.folder(name) / LEDGER) for name in job.ancestors]
    planned = job.experiment.stage_budget(job.dataset, job.label, job.stage)
    if job.stage == job.formulation.final.name and budget.accounting == "all_in":
        # Whole pairs and whole updates leave a remainder upstream: the last stage takes it.
        planned += sum(ledger["planned"] - ledger["spent"] for ledger in earlier)
    ledger = Ledger(_seconds_per_step(job), device)
    _forget_peak_memory(device)
    with seconds("training"):
        how = spend(job, load(job.layout.data(job.dataset)), ledger, planned, device)
    spent = ledger.spent(budget.unit)
    if not SMALLEST_FRACTION * planned <= spent <= planned:
        raise BudgetError(f"spent {spent:.6g} of {planned:.6g} {budget.unit}: not 98-100%")
    write_json(folder / LEDGER, _ledger_file(job, ledger, planned, earlier))
    return dict(how or {})


def _seconds_per_step(job: Job) -> dict[str, float]:
    """Calibrated seconds of this stage's steps; empty unless the budget is in seconds."""
    if job.experiment.budget.unit != "device_seconds":
        return {}
    calibrated = read_json(job.layout.calibration(job.dataset, job.label) / OUTCOME)
    seconds: dict[str, float] = calibrated["seconds_per_step"][job.stage]
    return seconds


def _ledger_file(
    job: Job, ledger: Ledger, planned: float, earlier: list[dict[str, Any]]
) -> dict[str, Any]:
    budget = job.experiment.budget
    spent = ledger.spent(budget.unit)
    return {
        "dataset": job.dataset,
        "label": job.label,
        "stage": job.stage,
        "seed": job.seed,
        "digest": job.digest,
        "factors": job.declared.factors(),
        "unit": budget.unit,
        "accounting": budget.accounting,
        "planned": planned,
        "spent": spent,
        "spent_own": spent,
        "spent_upstream": sum(entry["spent"] for entry in earlier),
        "charges": {
            kind: {**asdict(charge), "network_passes": charge.network_passes}
            for kind, charge in ledger.charges.items()
        },
        "peak_memory_bytes": _peak_memory(ledger),
        "upstream": [
            {key: entry[key] for key in ("stage", "digest", "spent")} for entry in earlier
        ],
    }


def _forget_peak_memory(device: torch.device) -> None:
    """Begin to count a device's highest memory anew: it is that of this stage and seed."""
    if device.type == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats(device)


def _peak_memory(ledger: Ledger) -> int:
    """Highest memory of the device, or of the process where the device is the CPU."""
    if ledger.device.type == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated(ledger.device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
