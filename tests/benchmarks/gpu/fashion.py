"""Part (d) of the kit: ``configs/fashion.yaml``, seed by seed, as far as the time goes.

Run by ``run.py``; by hand from the repository's root:

    PYTHONPATH=. python tests/benchmarks/gpu/fashion.py --out OUT --seconds 300 [--data FOLDER]

The stages of the workflow are called one after the other in one process, since importing torch
takes a job longer than some of them take to run: data, extractor, calibration, floor, then every
formulation of the first seed, the seconds a sample, and the next seed. One seed at a time changes
no digest and no number, only their order. Before a model it is estimated from those before whether
it fits; one that does not is left to a later run.

After every step what is light of the results (outcomes, ledgers, records, losses, the first seed's
samples, the extractor, never a checkpoint) is packed into ``OUT/fashion.tar.xz``. A later run, on
another machine too, unpacks it and goes on: a model whose sweep stands under its current digest
needs no checkpoint. Budgets are seconds of the card they were calibrated on, so a run on a card of
another name is refused.

``--tiny`` runs the same code on the digits, with two formulations and two seeds, to rehearse it.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import yaml

from bench.errors import InputError
from bench.evidence import manifest as manifests
from bench.experiment import digests
from bench.experiment.costs import Plan
from bench.experiment.layout import CONFIG, EXTRACTOR_WEIGHTS, LEDGER, Layout
from bench.experiment.loading import from_mapping
from bench.experiment.spec import Experiment
from bench.files import read_json, replacing, write_json
from bench.stages import calibrate, extractor, floor, pairs, prepare, sweep, timing, train
from bench.stages.running.devices import limit_threads, ready
from bench.stages.running.job import CHECKPOINT
from bench.stages.running.outcome import Outcome, read_outcome
from tests.benchmarks.gpu.measure import Deadline, Findings, Measurement

if TYPE_CHECKING:
    import torch

    from bench.data.dataset import DataSet
    from bench.metrics.context import References

PART = "fashion"
ARCHIVE = f"{PART}.tar.xz"
ARCHIVE_BYTES = 16 * 2**20
CARD = "card.json"
"""Beside the results: the card whose seconds the budgets are."""

ROOT = Path(__file__).resolve().parents[3]

WALL = "wall seconds"
"""What every stage took; the quantity of a measurement."""

LIGHT = frozenset({".json", ".yaml", ".csv", ".parquet"})
"""Suffixes of files that are packed, whatever their stage."""

STAGES: Mapping[str, Callable[..., None]] = {"train": train.run, "pairs": pairs.run}

MARGIN = 1.15
"""Estimates are multiplied by it: a model that is cut off is lost with the machine."""

RESERVE = 4.0
"""Seconds kept for packing."""

UNKNOWN_SHARE = 4.0
"""Seconds of a model, sweep included, over its budget, while none is known."""

TINY: Mapping[str, Any] = {
    "name": "gpu_kit_rehearsal",
    "datasets": {"digits": {"network": {"kind": "residual_mlp", "width": 32, "depth": 1}}},
    "formulations": {"rectified_flow": {}, "flow_matching": {}},
    "seeds": [0, 1],
    "budget": {"amount": {"digits": 1.2}},
    "training": {"batch_size": 32, "threads": 1},
    "sweep": {
        "nfe": [1, 2],
        "few_step_nfe": [1],
        "samples": {"scoring": 100, "selection": 100},
        "block": 100,
        "batch_size": 100,
        "reference_tolerance": 1.0e-1,
        "reference_samples": 20,
    },
    "metrics": {"kid_subset_size": 50, "floor_repeats": 4},
    "timing": {"batch_size": 16, "repeats": 1},
    "extractor": {"epochs": 2},
}
"""What a rehearsal changes; sections that are no list of names keep their other keys."""

WHOLE = ("name", "datasets", "formulations", "seeds")


class OtherCardError(Exception):
    """The results at hand were made on another card; the message is one line."""


def experiment_of(tiny: bool) -> Experiment:
    """The shipped experiment, or the one that rehearses it."""
    source = ROOT / "configs" / "fashion.yaml"
    mapping = yaml.safe_load(source.read_text(encoding="utf-8"))
    for key, value in TINY.items() if tiny else ():
        mapping[key] = value if key in WHOLE else {**mapping[key], **value}
    return from_mapping(mapping, str(source))


def reading_from(experiment: Experiment, folder: Path | None) -> Experiment:
    """The same experiment with its data set's files in a folder; no digest depends on it."""
    if folder is None or "fashion" not in experiment.datasets:
        return experiment
    mapping = experiment.resolved()
    mapping["datasets"]["fashion"]["options"]["path"] = str(folder)
    return from_mapping(mapping, "--data")


# --- what survives the machine --------------------------------------------------------------------


def light_files(experiment: Experiment, layout: Layout, *, samples: bool) -> Iterator[Path]:
    """Files of the results that are packed.

    Of a model only once its sweep has ended: what came before is of no use without checkpoints.
    """
    ended = {layout.model(*model) for model in models(experiment) if has_ended(layout, *model)}
    first = {
        layout.sweep(dataset, label, seed) / sweep.SAMPLES
        for dataset, label, seed in models(experiment)
        if seed == experiment.seeds[0]
    }
    for path in sorted(layout.root.rglob("*")):
        place = path.relative_to(layout.root)
        light = (
            path.suffix in LIGHT or path.name == EXTRACTOR_WEIGHTS or (samples and path in first)
        )
        hidden = any(part.startswith(".") for part in place.parts)
        of_model = place.parts[0] == "runs"
        if not light or hidden or not path.is_file():
            continue
        if not of_model or any(model in path.parents for model in ended):
            yield path


def write_archive(experiment: Experiment, layout: Layout, out: Path) -> int:
    """Pack what is light into ``out``, whole or as it was before; returns its size.

    Raises:
        ValueError: it does not fit, even without samples.
    """
    for samples in (True, False):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:xz", preset=1) as archive:
            for path in light_files(experiment, layout, samples=samples):
                archive.add(path, str(path.relative_to(layout.root)))
        if packed.tell() <= ARCHIVE_BYTES:
            with replacing(out / ARCHIVE) as temporary:
                temporary.write_bytes(packed.getbuffer())
            return packed.tell()
    raise ValueError(f"{ARCHIVE} has {packed.tell()} bytes without samples; it cannot be carried")


def unpack(archive: Path, target: Path) -> None:
    """Unpack an archive below ``target``; files that are there already are left alone.

    Raises:
        ValueError: it is cut off, or is none.
    """
    try:
        with tarfile.open(archive, "r:xz") as stream:
            for member in stream.getmembers():
                if not (target / member.name).exists():
                    stream.extract(member, target, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ValueError(f"{archive.name}: {error}") from None


def take_card(layout: Layout, card: str | None) -> None:
    """Keep the name of the card with the results that its seconds decide.

    Raises:
        OtherCardError: they were begun on another one.
    """
    path = layout.root / CARD
    if not path.is_file():
        write_json(path, {"card": card})
        return
    began = read_json(path)["card"]
    if began != card:
        raise OtherCardError(
            f"{PART}: budgets are seconds of {began or 'a CPU'}, and this is {card or 'a CPU'}: "
            "go on there, or begin anew without --before"
        )


def share_references() -> None:
    """Let all sweeps of this process compare with one set of real samples.

    A job of the workflow shares it among its seeds. Here a job is one model, and what the set
    remembers, such as the distances among 60,000 images, takes longer than a sweep.
    """
    from bench.metrics.context import HOST
    from bench.stages.running import assembly

    make = assembly.references
    known: dict[tuple[str, Path, str], References] = {}

    def references(
        experiment: Experiment,
        layout: Layout,
        dataset: DataSet,
        device: torch.device = HOST,
    ) -> References:
        about = (experiment.digest, layout.root, dataset.name)
        if about not in known:
            known[about] = make(experiment, layout, dataset, device)
        return known[about]

    assembly.references = references


# --- what there is to do --------------------------------------------------------------------------

Model = tuple[str, str, int]
"""Data set, label and seed."""


def models(experiment: Experiment) -> Iterator[Model]:
    """All models, the seeds one after the other: a seed is compared whole."""
    for seed in experiment.seeds:
        for dataset in experiment.datasets:
            for label in experiment.labels:
                yield dataset, label, seed


def has_ended(layout: Layout, dataset: str, label: str, seed: int) -> bool:
    """Whether the sweep over a model has ended, well or not."""
    return read_outcome(layout.sweep(dataset, label, seed)) is not None


def is_finished(experiment: Experiment, layout: Layout, model: Model) -> bool:
    """Whether the sweep over a model stands under its current digest."""
    outcome = read_outcome(layout.sweep(*model))
    digest = digests.sweep_digest(experiment, *model)
    return outcome is not None and outcome["status"] == "ok" and outcome["digest"] == digest


@dataclass(frozen=True)
class Step:
    """A call of a stage.

    Attributes:
        subject: its name among the measurements.
        folder: where its outcome lies.
        work: makes it.
    """

    subject: str
    folder: Path
    work: Callable[[], object]


def shared_steps(experiment: Experiment, layout: Layout, data: Path | None) -> Iterator[Step]:
    """What all models need, in the order of the workflow."""
    for dataset in experiment.datasets:
        named = reading_from(experiment, data)
        work = partial(prepare.run, named, layout, dataset=dataset)
        yield Step("prepare", layout.data(dataset), work)
        if experiment.described(dataset).extractor is not None:
            work = partial(extractor.run, experiment, layout, dataset=dataset)
            yield Step("extractor", layout.extractor(dataset), work)
        for label in filter(experiment.is_calibrated, experiment.labels):
            call = partial(calibrate.run, experiment, layout, dataset=dataset, label=label)
            yield Step(f"calibrate/{label}", layout.calibration(dataset, label), call)
        work = partial(floor.run, experiment, layout, dataset=dataset)
        yield Step("floor", layout.floor(dataset), work)


def model_steps(experiment: Experiment, layout: Layout, model: Model) -> Iterator[Step]:
    """The stages of one model, and its sweep."""
    dataset, label, seed = model
    about: dict[str, Any] = {"dataset": dataset, "label": label, "seeds": [seed]}
    for stage in experiment.formulation(label).stages:
        run = partial(STAGES[stage.kind], experiment, layout, stage=stage.name, **about)
        folder = layout.stage(dataset, label, seed, stage.name)
        yield Step(f"seed{seed}/{label}/{stage.name}", folder, run)
    run = partial(sweep.run, experiment, layout, **about)
    yield Step(f"seed{seed}/{label}/sweep", layout.sweep(*model), run)


def timing_step(experiment: Experiment, layout: Layout, dataset: str) -> Step:
    """The seconds a sample."""
    run = partial(timing.run, experiment, layout, dataset=dataset)
    return Step("timing", layout.timing(dataset), run)


# --- how long it takes ----------------------------------------------------------------------------


def seconds_of(experiment: Experiment, layout: Layout, model: Model) -> float | None:
    """Wall seconds that a finished model took, all stages together; None for others."""
    steps = model_steps(experiment, layout, model)
    outcomes = [read_outcome(step.folder) for step in steps]
    known = [outcome for outcome in outcomes if outcome is not None and outcome["status"] == "ok"]
    if len(known) < len(outcomes):
        return None
    return float(sum(outcome["wall_seconds"] for outcome in known))


def expected_seconds(experiment: Experiment, layout: Layout, model: Model) -> float:
    """Estimate from the models before: of the same label, else of the others."""
    dataset, label, _ = model
    known: dict[str, list[float]] = {}
    for other in models(experiment):
        taken = seconds_of(experiment, layout, other)
        if taken is not None and other[0] == dataset:
            known.setdefault(other[1], []).append(taken)
    if label in known:
        return MARGIN * max(known[label])
    if known:
        return MARGIN * max(max(taken) for taken in known.values())
    return UNKNOWN_SHARE * experiment.budget.amount[dataset]


def expected_timing(experiment: Experiment, layout: Layout, dataset: str) -> float:
    """Estimate from the first seed's sweeps, which draw the same cells in other numbers."""
    sweeps = [
        read_outcome(layout.sweep(dataset, n, experiment.seeds[0])) for n in experiment.labels
    ]
    swept = sum(outcome["wall_seconds"] for outcome in sweeps if outcome is not None)
    settings = experiment.timing
    drawn = (settings.repeats + settings.warmup) * settings.batch_size
    return float(MARGIN * swept * drawn / sum(experiment.sweep.samples.values()))


def measurements(
    experiment: Experiment, layout: Layout, step: Step, outcome: Outcome
) -> Iterator[Measurement]:
    """What a stage took, against what was planned for it where something was."""

    def found(quantity: str, value: float, unit: str, note: str = "") -> Measurement:
        return Measurement(PART, step.subject, quantity, value, None, None, unit, note)

    yield found(WALL, outcome["wall_seconds"], "s")
    if (step.folder / LEDGER).is_file():
        ledger = read_json(step.folder / LEDGER)
        planned = sum(charge["planned_seconds"] for charge in ledger["charges"].values())
        measured = sum(charge["device_seconds"] for charge in ledger["charges"].values())
        if planned:
            note = f"planned {planned:.3g} s"
            yield found("device seconds over planned", measured / planned, "1", note)


def sampling_rate(experiment: Experiment, layout: Layout) -> Measurement | None:
    """Operations a second in the sweeps: those that the plan expects over all they took.

    Scoring is in the seconds, so that it says how far the plan's figure is from a sweep's length.
    """
    sweeps = [read_outcome(layout.sweep(*m)) for m in models(experiment)]
    taken = [outcome["wall_seconds"] for outcome in sweeps if outcome and outcome["status"] == "ok"]
    if not taken:
        return None
    each = Plan(experiment).sampling_flops() / Plan(experiment).models
    low, high = (each / seconds for seconds in (max(taken), min(taken)))
    note = f"{each:.3g} operations a model by plan, scoring in the seconds"
    rate = each / median(taken)
    return Measurement(PART, "sweeps", "operations of sampling", rate, low, high, "1/s", note)


# --- running --------------------------------------------------------------------------------------


@dataclass
class Run:
    """One run of this part.

    Args:
        experiment: what is run.
        layout: where.
        data: folder of the data set's files, or None for where its reader looks.
        out: where what survives lies.
        findings: measurements so far.
        deadline: when all must have ended.
        device: where it computes.
    """

    experiment: Experiment
    layout: Layout
    data: Path | None
    out: Path
    findings: Findings
    deadline: Deadline
    device: torch.device

    def all(self) -> bool:
        """Run what fits; returns whether nothing is left."""
        for step in shared_steps(self.experiment, self.layout, self.data):
            if not self._take(step):
                self._pack()
                return False
        self._pack()
        left, untimed = 0, list(self.experiment.datasets)
        for seed in self.experiment.seeds:
            of_seed = [model for model in models(self.experiment) if model[2] == seed]
            left += sum(not self._model(model) for model in of_seed)
            if seed == self.experiment.seeds[0]:
                untimed = [dataset for dataset in untimed if not self._timing(dataset)]
        left += sum(not self._timing_anew(dataset) for dataset in untimed)
        rate = sampling_rate(self.experiment, self.layout)
        if rate is not None:
            self.findings.add(rate)
        self._pack()
        print(f"{PART}: {left} pieces left to a later run", flush=True)
        return not left

    def _model(self, model: Model) -> bool:
        """Make one model if it fits; whether it is there."""
        _, label, seed = model
        if not is_finished(self.experiment, self.layout, model):
            expected = expected_seconds(self.experiment, self.layout, model)
            if self.deadline.left() < expected + RESERVE:
                print(f"{label}, seed {seed}: some {expected:.0f} s do not fit", flush=True)
                return False
        else:
            for step in model_steps(self.experiment, self.layout, model):
                self._note(step)
            return True
        good = True
        for step in model_steps(self.experiment, self.layout, model):
            # After a failure the others fail at once, and say of which they did.
            good = self._take(step) if good else bool(step.work())
        self._pack()
        return is_finished(self.experiment, self.layout, model)

    def _timing(self, dataset: str) -> bool:
        """Measure seconds a sample, while the first seed's models are at hand."""
        step = timing_step(self.experiment, self.layout, dataset)
        outcome = read_outcome(step.folder)
        digest = digests.timing_digest(self.experiment, dataset)
        if outcome is not None and outcome["status"] == "ok" and outcome["digest"] == digest:
            self._note(step)
            return True
        lost = self._lost(dataset)
        if lost:
            print(f"timing: no {', '.join(label for _, label, _ in lost)} is at hand", flush=True)
            return False
        expected = expected_timing(self.experiment, self.layout, dataset)
        if self.deadline.left() < expected + RESERVE:
            print(f"timing: some {expected:.0f} s do not fit", flush=True)
            return False
        done = self._take(step)
        self._pack()
        return done

    def _lost(self, dataset: str) -> list[Model]:
        """Models of the first seed whose checkpoint is not at hand, less those that failed."""
        found, seed = [], self.experiment.seeds[0]
        for label in self.experiment.labels:
            final = self.experiment.formulation(label).final.name
            folder = self.layout.stage(dataset, label, seed, final)
            failed = (read_outcome(folder) or {}).get("status") == "failed"
            if not failed and not (folder / CHECKPOINT).is_file():
                found.append((dataset, label, seed))
        return found

    def _timing_anew(self, dataset: str) -> bool:
        """Make the first seed's models again that were left on a lost machine, and time them.

        The last thing to do: the time goes to models that are missing first.
        """
        lost = self._lost(dataset)
        estimates = [expected_seconds(self.experiment, self.layout, model) for model in lost]
        expected = sum(estimates) + expected_timing(self.experiment, self.layout, dataset)
        if self.deadline.left() < expected + RESERVE:
            print(f"timing: some {expected:.0f} s do not fit", flush=True)
            return False
        for model in lost:
            shutil.rmtree(self.layout.model(*model), ignore_errors=True)
            self._model(model)
        return self._timing(dataset)

    def _take(self, step: Step) -> bool:
        """Run a stage and keep what it took; whether it stands."""
        if self.deadline.left() < RESERVE:
            print(f"{step.subject}: no time is left", flush=True)
            return False
        if self.device.type == "cuda":
            import torch

            # Ledgers state a process's highest memory; here one process makes all of them.
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
        print(f"{step.subject}: {self.deadline.left():.0f} s left", flush=True)
        step.work()
        return self._note(step)

    def _note(self, step: Step) -> bool:
        """Keep what the outcome of a stage says; whether it is good."""
        outcome = read_outcome(step.folder)
        if outcome is None:
            return False
        if outcome["status"] != "ok":
            self.findings.failed(step.subject, str(outcome["error"]))
            return False
        if outcome.get("incomplete"):
            self.findings.failed(step.subject, str(outcome["incomplete"]))
        self.findings.add(*measurements(self.experiment, self.layout, step, outcome))
        return True

    def _pack(self) -> None:
        """Put what has been found where it survives."""
        about = manifests.manifest(self.experiment, self.layout.root, manifests.current())
        write_json(self.layout.root / manifests.MANIFEST, about)
        size = write_archive(self.experiment, self.layout, self.out)
        print(f"{ARCHIVE}: {size / 2**20:.1f} MiB", flush=True)


def restored(experiment: Experiment, root: Path, archive: Path) -> Layout:
    """The results in ``root``, with those that an archive brings from an earlier run."""
    layout = Layout(root / experiment.name)
    if archive.is_file():
        with tempfile.TemporaryDirectory(dir=root) as fresh:
            unpack(archive, Path(fresh))
            card, config = Path(fresh) / CARD, Path(fresh) / CONFIG
            if not card.is_file() or not config.is_file():
                raise ValueError(f"{archive.name}: holds no results of this part")
        unpack(archive, layout.root)
    experiment.save(layout.config)
    return layout


def main() -> int:
    """Run the part; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the part's files")
    parser.add_argument("--seconds", type=float, required=True, help="the part ends before these")
    parser.add_argument("--tiny", action="store_true", help="the same code at tiny sizes")
    parser.add_argument("--data", type=Path, help="folder of the four files of Fashion-MNIST")
    parser.add_argument(
        "--results", type=Path, default=ROOT / "results" / "gpu_kit", help="what need not survive"
    )
    given = parser.parse_args()
    deadline = Deadline(given.seconds)
    experiment = experiment_of(given.tiny)
    limit_threads(experiment.training.threads)
    given.results.mkdir(parents=True, exist_ok=True)
    given.out.mkdir(parents=True, exist_ok=True)
    try:
        layout = restored(experiment, given.results, given.out / ARCHIVE)
        device = ready(experiment.training.threads, experiment.training.precision)
        import torch

        card = torch.cuda.get_device_name(device) if device.type == "cuda" else None
        take_card(layout, card)
        share_references()
        findings = Findings.open(given.out, PART, device)
        run = Run(experiment, layout, given.data, given.out, findings, deadline, device)
        if run.all():
            findings.close()
    except (InputError, OtherCardError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    findings.print()
    return 1 if findings.failures else 0


if __name__ == "__main__":
    sys.exit(main())
