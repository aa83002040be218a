"""What stages an experiment has, where each lies, what it reads: the only place that knows.

A stage is a :class:`Node`. Whoever goes through the stages of an experiment goes through
:func:`nodes`: the workflow and its estimate, collecting, the verdict, cleaning, verifying, the
manifest. A new verb is told here, in its own file of ``bench/stages`` and in its rule. Torch-free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.experiment import digests
from bench.experiment.cells import has_likelihood, has_oracle
from bench.experiment.layout import Layout
from bench.experiment.spec import Experiment

DATASET = ("dataset",)
LABEL = ("dataset", "label")
MODEL = ("dataset", "label", "seed")
STAGE = ("dataset", "label", "seed", "stage")


@dataclass(frozen=True)
class Verb:
    """What all stages of a verb have in common.

    Args:
        by: what there is one of it for, by the names that ``folder`` and ``digest`` take.
        folder: its folder, of a layout.
        digest: digest of all that its result depends on, of an experiment.
        measures: whether it writes a file of records.
        alone: whether it wants the machine for itself, because it measures time.
        called: what records and errors call it; the verb or the name of the stage unless given.
        choices: files of what it measures to choose how it runs fast, and what there is one of each
            for; they outlive the stage, and others may read them.
    """

    by: tuple[str, ...]
    folder: Callable[..., Path]
    digest: Callable[..., str | None]
    measures: bool = False
    alone: bool = False
    called: str | None = None
    choices: tuple[tuple[tuple[str, ...], Callable[..., Path]], ...] = ()


def _convergence_digest(experiment: Experiment) -> str:
    assert experiment.convergence is not None
    return digests.convergence_digest(experiment.convergence.paths)


_SAMPLING_CHOICES = ((LABEL, Layout.sampling_choice), (DATASET, Layout.overlap_choice))


VERBS: dict[str, Verb] = {
    "prepare": Verb(DATASET, Layout.data, digests.data_digest, called="data"),
    "extractor": Verb(DATASET, Layout.extractor, digests.extractor_digest),
    "calibrate": Verb(
        LABEL, Layout.calibration, digests.calibration_digest, alone=True, called="calibration"
    ),
    "train": Verb(
        STAGE,
        Layout.stage,
        digests.stage_digest,
        choices=((("dataset", "label", "stage"), Layout.acceleration),),
    ),
    "pairs": Verb(STAGE, Layout.stage, digests.stage_digest),
    "foreign": Verb(STAGE, Layout.stage, digests.stage_digest),
    "screen": Verb(
        MODEL, Layout.screen, digests.screen_digest, measures=True, choices=_SAMPLING_CHOICES
    ),
    "sweep": Verb(
        MODEL, Layout.sweep, digests.sweep_digest, measures=True, choices=_SAMPLING_CHOICES
    ),
    "likelihood": Verb(MODEL, Layout.likelihood, digests.likelihood_digest, measures=True),
    "floor": Verb(DATASET, Layout.floor, digests.floor_digest, measures=True),
    "oracle": Verb(DATASET, Layout.oracle, digests.oracle_digest, measures=True),
    "convergence": Verb((), Layout.convergence, _convergence_digest, measures=True),
    "timing": Verb(DATASET, Layout.timing, digests.timing_digest, measures=True, alone=True),
}
"""All verbs whose stages leave an outcome, in about the order they run."""


@dataclass(frozen=True)
class Node:
    """One stage of an experiment.

    Args:
        verb: what does it, a name of :data:`VERBS`.
        dataset, label, seed, stage: what it is done for, as far as it is for one only.
        reads: the stages whose results it takes.
    """

    verb: str
    dataset: str | None = None
    label: str | None = None
    seed: int | None = None
    stage: str | None = None
    reads: tuple[Node, ...] = field(default=(), compare=False, repr=False)

    @property
    def name(self) -> str:
        """What records and errors call it."""
        return VERBS[self.verb].called or self.stage or self.verb

    @property
    def alone(self) -> bool:
        """Whether it wants the machine for itself."""
        return VERBS[self.verb].alone

    @property
    def table(self) -> str | None:
        """The file of records that it writes, or None."""
        return f"{self.verb}.parquet" if VERBS[self.verb].measures else None

    def folder(self, layout: Layout) -> Path:
        """Where it keeps its files."""
        return VERBS[self.verb].folder(layout, **self._place())

    def choices(self, layout: Layout) -> tuple[Path, ...]:
        """Where it keeps what it measures to choose how it runs fast."""
        return tuple(
            file(layout, **{name: getattr(self, name) for name in by})
            for by, file in VERBS[self.verb].choices
        )

    def digest(self, experiment: Experiment) -> str:
        """Digest of all that its result depends on."""
        digest = VERBS[self.verb].digest(experiment, **self._place())
        assert digest is not None, f"{self} is no stage of {experiment.name}"
        return digest

    def _place(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in VERBS[self.verb].by}


def nodes(experiment: Experiment) -> tuple[Node, ...]:
    """All stages of an experiment, each after those that it reads."""
    stages = [node for dataset in experiment.datasets for node in _on(experiment, dataset)]
    if experiment.convergence is not None:
        stages.append(Node("convergence"))
    return tuple(stages)


def _on(experiment: Experiment, dataset: str) -> Iterator[Node]:
    """All stages on one data set."""
    data = Node("prepare", dataset)
    yield data
    # What every evaluation reads: the samples, and their extractor if they have one.
    scored: tuple[Node, ...] = (data,)
    if experiment.described(dataset).extractor is not None:
        scored = (data, Node("extractor", dataset, reads=(data,)))
        yield scored[-1]
    timed = []
    for label in experiment.labels:
        inputs: tuple[Node, ...] = (data,)
        if experiment.is_calibrated(label):
            inputs = (data, Node("calibrate", dataset, label, reads=(data,)))
            yield inputs[-1]
        formulation, likely = experiment.formulation(label), has_likelihood(experiment, label)
        is_screened = experiment.sweep.screen is not None
        screens: dict[int, Node] = {}
        finals: dict[int, Node] = {}
        for seed in experiment.seeds:
            made: dict[str, Node] = {}
            for stage in formulation.stages:
                reads = (*inputs, *(made[name] for name in stage.upstream))
                made[stage.name] = Node(stage.kind, dataset, label, seed, stage.name, reads)
            yield from made.values()
            final = finals[seed] = made[formulation.final.name]
            if seed in experiment.timed_seeds:
                timed.append(final)
            verb = "screen" if is_screened else "sweep"
            node = Node(verb, dataset, label, seed, reads=(*scored, final))
            yield node
            if is_screened:
                screens[seed] = node
            if likely:
                yield Node("likelihood", dataset, label, seed, reads=(data, final))
        # The samplers that a seed is scored with are chosen on the other seeds.
        for seed in screens:
            reads = (*scored, finals[seed], *screens.values())
            yield Node("sweep", dataset, label, seed, reads=reads)
    yield Node("floor", dataset, reads=scored)
    if has_oracle(experiment, dataset):
        yield Node("oracle", dataset, reads=scored)
    yield Node("timing", dataset, reads=(data, *timed))


def jobs(experiment: Experiment) -> tuple[tuple[Node, ...], ...]:
    """The stages by the job that does them, each job after those that it reads."""
    blocks = {seed: block for block in experiment.seed_blocks() for seed in block}
    together: dict[Any, list[Node]] = {}
    for node in nodes(experiment):
        block = None if node.seed is None else blocks[node.seed]
        key = (node.verb, node.dataset, node.label, node.stage, block)
        together.setdefault(key, []).append(node)
    return tuple(map(tuple, together.values()))


def verbs(experiment: Experiment) -> tuple[str, ...]:
    """The verbs of an experiment's stages."""
    used = {node.verb for node in nodes(experiment)}
    return tuple(verb for verb in VERBS if verb in used)
