"""What an experiment will cost, from measured speeds: jobs, cells, core-seconds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from bench.experiment.cells import (
    SCORING,
    SELECTION,
    Cell,
    cells,
    compares_with_exact,
    exact_flows,
    has_oracle,
    unified_cells,
)
from bench.experiment.graph import VERBS, Node, jobs
from bench.experiment.spec import Experiment
from bench.experiment.speed import (
    ADAPTIVE_EVALUATIONS,
    ADAPTIVE_EXACT,
    FIELD,
    GEOMETRY,
    SCORED_BLOCK,
    SPEED,
    VECTOR_JACOBIAN,
    Speed,
)
from bench.formulations.grammar import Formulation, Stage
from bench.models.architectures import DEFAULT

LAW_METRICS = frozenset({"mmd_modes", "excess_nll", "off_mode_excess", "mode_chi2", "mode_tv"})
"""Metrics that read samples against an exact law, and no pairs of them with held-out data."""

KINDS = ("import", "training", "sampling", "metrics", "timing")


@dataclass(frozen=True)
class Job:
    """A kind of job, how often it runs, and its core-seconds by kind, all runs together."""

    verb: str
    count: int
    seconds: dict[str, float]
    alone: bool = False


def counted_as(verb: str) -> str:
    """The verb under which a plan counts the jobs of a verb: making pairs is a part of training."""
    return "train" if verb == "pairs" else verb


@dataclass(frozen=True)
class Plan:
    """An experiment with its jobs.

    Args:
        experiment: what is planned.
        speed: constants of the estimate.
    """

    experiment: Experiment
    speed: Speed = SPEED

    @property
    def models(self) -> int:
        """Trained models that are evaluated."""
        experiment = self.experiment
        return len(experiment.datasets) * len(experiment.labels) * len(experiment.seeds)

    def cells(self, label: str) -> tuple[Cell, ...]:
        """Cells of one model, the refused ones included."""
        return self._cells[label]

    def view(self, label: str) -> tuple[Cell, ...]:
        """Cells of one model on other paths than its own."""
        return unified_cells(self.experiment, self.experiment.formulation(label))

    def scored(self, label: str) -> tuple[Cell, ...]:
        """Cells that a model is sampled at in the noise bank ``scoring``, or as many as the most.

        Where samplers are screened nobody knows yet which ones are the best: at each number of
        evaluations stand as many cells as may be scored, the common solver's among them, those of
        an adaptive solver as if they spent just that number. An upper bound.
        """
        sweep, label_cells = self.experiment.sweep, self.cells(label)
        scoring = [cell for cell in label_cells if cell.bank == SCORING]
        if sweep.screen is None:
            return tuple(scoring)
        adaptive = sum(cell.nfe is None for cell in scoring)
        most: list[Cell] = []
        by_nfe: dict[int, list[Cell]] = {}
        for cell in scoring:
            if cell.nfe is not None and cell.refused is None:
                by_nfe.setdefault(cell.nfe, []).append(cell)
        for at_cost in by_nfe.values():
            count = min(sweep.screen.best + 1, len(at_cost) + adaptive)
            most += [*at_cost, *at_cost[:1] * adaptive][:count]
        return tuple(most)

    def screened(self, label: str) -> tuple[Cell, ...]:
        """Cells of one model in the noise bank ``selection``."""
        return tuple(cell for cell in self.cells(label) if cell.bank == SELECTION)

    def unscreened(self) -> Plan:
        """The plan of the same experiment with every combination scored."""
        sweep = self.experiment.sweep.model_copy(update={"screen": None})
        return replace(self, experiment=self.experiment.model_copy(update={"sweep": sweep}))

    def evaluation_seconds(self) -> float:
        """Expected core-seconds of sampling and scoring models, their screens included."""
        stages = [job for job in self.jobs() if job.verb in ("screen", "sweep")]
        return sum(sum(job.seconds.values()) for job in stages)

    def jobs(self) -> tuple[Job, ...]:
        """All jobs by verb, in the order they run."""
        return self._all_jobs

    def seconds(self) -> dict[str, float]:
        """Expected core-seconds by kind."""
        total: Counter[str] = Counter()
        for job in self.jobs():
            total.update(job.seconds)
        return {kind: total[kind] for kind in KINDS}

    def minutes(self, cores: int) -> float:
        """Expected minutes on ``cores``: some jobs run alone, the others side by side."""
        width = max(1, cores // self.experiment.training.threads)
        return (
            sum(
                sum(job.seconds.values()) / (1 if job.alone else min(width, job.count))
                for job in self.jobs()
            )
            / 60
        )

    def sampling_flops(self) -> float:
        """Operations of the networks in the sweep."""
        unit = replace(self.speed, flops=1.0, image_flops=1.0, evaluation=0.0, exact_number=0.0)
        return replace(self, speed=unit).seconds()["sampling"]

    @cached_property
    def _cells(self) -> dict[str, tuple[Cell, ...]]:
        experiment = self.experiment
        return {
            label: cells(experiment, experiment.formulation(label)) for label in experiment.labels
        }

    @cached_property
    def _all_jobs(self) -> tuple[Job, ...]:
        return tuple(self._jobs())

    def _jobs(self) -> Iterator[Job]:
        """Jobs of the graph by verb, and the report."""
        by_verb: dict[str, list[Node]] = {}
        for first, *_ in jobs(self.experiment):
            by_verb.setdefault(counted_as(first.verb), []).append(first)
        for verb in (verb for verb in VERBS if verb in by_verb):
            first_nodes = by_verb[verb]
            seconds = self._seconds(verb, first_nodes)
            yield Job(verb, len(first_nodes), seconds, alone=first_nodes[0].alone)
        report = {"import": self.speed.start_report, "metrics": self.speed.report}
        yield Job("report", 1, report, alone=True)

    def _seconds(self, verb: str, first_nodes: Sequence[Node]) -> dict[str, float]:
        """Core-seconds by kind of all jobs of a verb, given the first stage of each."""
        experiment, speed = self.experiment, self.speed
        datasets = [node.dataset for node in first_nodes if node.dataset is not None]
        start = len(first_nodes) * speed.start
        start_scoring = sum(map(self._evaluation_start, datasets))
        models = dict.fromkeys((node.dataset or "", node.label or "") for node in first_nodes)
        match verb:
            case "extractor":
                epochs = len(first_nodes) * experiment.extractor.epochs
                return {"import": start, "training": epochs * speed.extractor_epoch}
            case "train":
                training = len(experiment.seeds) * sum(self._stage_seconds())
                return {"import": start, "training": training}
            case "screen":
                solved = [self._screen_seconds(*model) for model in models]
                return {"import": start_scoring, **_by_kind(solved, len(experiment.seeds))}
            case "sweep":
                solved = [self._sweep_seconds(*model) for model in models]
                return {"import": start_scoring, **_by_kind(solved, len(experiment.seeds))}
            case "oracle":
                solved = [self._exact_seconds(dataset) for dataset in datasets]
                return {"import": start_scoring, **_by_kind(solved, 1)}
            case "likelihood":
                solving = sum(self._likelihood_seconds(*model) for model in models)
                return {"import": start, "metrics": len(experiment.seeds) * solving}
            case "floor":
                metrics = sum(map(self._floor_seconds, datasets))
                return {"import": start_scoring, "metrics": metrics}
            case "convergence":
                assert experiment.convergence is not None
                paths = len(experiment.convergence.paths)
                return {"import": start, "metrics": paths * speed.convergence}
            case "timing":
                timing = sum(self._timing_seconds(name) for name in datasets)
                return {"import": start, "timing": timing}
        return {"import": start}

    def _evaluation_start(self, dataset: str) -> float:
        scored = self.experiment.described(dataset).extractor is not None
        return self.speed.start_fidelity if scored else self.speed.start

    def _forward_flops(self, dataset: str, label: str | None = None) -> float:
        """Operations of a forward on one sample; those of a foreign network are not known."""
        if label in self.experiment.models:
            return 0.0
        shape = self.experiment.described(dataset).shape
        return self.experiment.datasets[dataset].network.forward_flops(shape)

    def _rate(self, dataset: str) -> float:
        """Operations a second of the network of a data set."""
        plain = self.experiment.datasets[dataset].network.kind == DEFAULT
        return self.speed.flops if plain else self.speed.image_flops

    def _stage_seconds(self) -> Iterator[float]:
        """Training seconds of each stage of one seed."""
        experiment, speed = self.experiment, self.speed
        for dataset in experiment.datasets:
            forward = self._forward_flops(dataset)
            step = 3 * forward * experiment.training.batch_size
            drawing = self._drawing(dataset) * experiment.training.batch_size
            for label in experiment.formulations:
                formulation = experiment.formulation(label)
                for stage in formulation.stages:
                    planned = experiment.stage_budget(dataset, label, stage.name)
                    if experiment.budget.unit == "device_seconds":
                        yield planned
                        continue
                    passes = planned * (
                        forward if experiment.budget.unit == "network_passes" else 1
                    )
                    updates = passes / step if stage.kind == "train" else 0.0
                    each = speed.update + (0.0 if _reads_pairs(formulation, stage) else drawing)
                    yield passes / self._rate(dataset) + updates * each

    def _drawing(self, dataset: str) -> float:
        """Seconds of drawing a sample for an update, where every update draws new ones."""
        description, speed = self.experiment.described(dataset), self.speed
        if not description.unlimited:
            return 0.0
        numbers = math.prod(description.shape)
        if description.exact:
            return speed.law + numbers * speed.law_number
        return speed.rendering + numbers * speed.rendered_number

    def _solve_seconds(self, dataset: str, label: str, evaluations: float, samples: int) -> float:
        batches = math.ceil(samples / self.experiment.sweep.batch_size)
        products = samples * self._forward_flops(dataset, label) / self._rate(dataset)
        return evaluations * (products + batches * self.speed.evaluation)

    def _cell_seconds(
        self, dataset: str, model_cells: Sequence[Cell], evaluation: float
    ) -> tuple[float, float]:
        """Seconds of sampling and of metrics; ``evaluation`` is that of one sample, in a batch."""
        sweep = self.experiment.sweep_of(dataset)
        block = self._block_seconds(dataset)
        sampling = metrics = 0.0
        for cell in model_cells:
            if cell.refused is None:
                samples = sweep.samples[cell.bank]
                batches = math.ceil(samples / sweep.batch_size)
                each = samples * evaluation + batches * self.speed.evaluation
                sampling += _evaluations(cell) * each
                metrics += block * samples / sweep.block
        return sampling, metrics

    def _block_seconds(self, dataset: str) -> float:
        """Seconds of scoring a block: assignments grow with its cube, pairs with its square."""
        sizes = self.experiment.datasets[dataset].sizes
        block = self.experiment.sweep_of(dataset).block
        if self.experiment.described(dataset).extractor is not None:
            return self.speed.image_block * (block / SCORED_BLOCK) ** 2
        assigned = block if sizes is None or sizes.assigned is None else min(sizes.assigned, block)
        assigning = self.speed.vector_block * (assigned / SCORED_BLOCK) ** 3 * block / assigned
        numbers = math.prod(self.experiment.described(dataset).shape)
        pairs = (self.speed.pair + numbers * self.speed.pair_number) * block**2
        return (assigning if self.experiment.described(dataset).kind == "vector" else 0.0) + pairs

    def _primary_share(self, dataset: str) -> float:
        """Share of the seconds of all metrics that the primary one takes."""
        speed, described = self.speed, self.experiment.described(dataset)
        return speed.primary_law if described.primary in LAW_METRICS else speed.primary

    def _floor_seconds(self, dataset: str) -> float:
        """Seconds of the metrics of what no model has made."""
        settings, sweep = self.experiment.metrics, self.experiment.sweep_of(dataset)
        described = self.experiment.described(dataset)
        draws: float = settings.floor_repeats * (1 if described.unlimited else 2)  # and copies
        if described.exact or described.unlimited:
            more = (settings.floor_repeats_ranked or 0) - settings.floor_repeats
            draws += max(0, more) * self._primary_share(dataset)
        blocks = sweep.samples[SCORING] / sweep.block
        others = 2  # a Gaussian and the network before training
        return (draws + others) * blocks * self._block_seconds(dataset)

    def _screen_seconds(self, dataset: str, label: str) -> tuple[float, float]:
        """Seconds of sampling and of metrics in the screen of one model."""
        product = self._forward_flops(dataset, label) / self._rate(dataset)
        sampling, metrics = self._cell_seconds(dataset, self.screened(label), product)
        return sampling, metrics * self._primary_share(dataset)

    def _sweep_seconds(self, dataset: str, label: str) -> tuple[float, float]:
        """Seconds of sampling and of metrics in the sweep over one model."""
        sweep, formulation = self.experiment.sweep, self.experiment.formulation(label)
        is_screened = sweep.screen is not None
        own_cells = self.scored(label) if is_screened else self.cells(label)
        view = self.view(label)
        product = self._forward_flops(dataset, label) / self._rate(dataset)
        sampling, metrics = self._cell_seconds(dataset, (*own_cells, *view), product)
        if formulation.sampler == "ode":
            fine = (2 if view else 1) * _adaptive(sweep.reference_tolerance)
            sampling += self._solve_seconds(dataset, label, fine, sweep.reference_samples)
            sampling += self._solve_seconds(dataset, label, *GEOMETRY)
        if has_oracle(self.experiment, dataset) and compares_with_exact(formulation):
            each = self._exact_evaluation(dataset)
            sampling += each * (ADAPTIVE_EXACT * sweep.reference_samples + math.prod(FIELD))
        return sampling, metrics

    def _exact_evaluation(self, dataset: str) -> float:
        """Seconds of an evaluation of the exact field, of one sample in a batch."""
        return self.speed.exact_number * math.prod(self.experiment.described(dataset).shape)

    def _exact_seconds(self, dataset: str) -> tuple[float, float]:
        """Seconds of sampling and of metrics of the exact field."""
        flows, each = exact_flows(self.experiment), self._exact_evaluation(dataset)
        parts = [self._cell_seconds(dataset, flow.cells, each) for flow in flows]
        fine = len(flows) * ADAPTIVE_EXACT * self.experiment.sweep.reference_samples * each
        return sum(sampling for sampling, _ in parts) + fine, sum(metrics for _, metrics in parts)

    def _likelihood_seconds(self, dataset: str, label: str) -> float:
        """Seconds of the likelihood under one model."""
        settings = self.experiment.likelihood
        assert settings is not None
        dimension = math.prod(self.experiment.described(dataset).shape)
        work = 1 + VECTOR_JACOBIAN * settings.products(dimension)
        evaluations = work * _adaptive(settings.tolerance)
        return self._solve_seconds(dataset, label, evaluations, settings.samples)

    def _timing_seconds(self, dataset: str) -> float:
        """Seconds of timing the models of each label."""
        timing = self.experiment.timing
        runs, total = timing.repeats + timing.warmup, 0.0
        for label in self.experiment.labels:
            settings = {(cell.solver, cell.nfe, cell.tolerance): cell for cell in self.cells(label)}
            for cell in settings.values():
                if cell.refused is None:
                    total += runs * self._solve_seconds(
                        dataset, label, _evaluations(cell), timing.batch_size
                    )
        return total * len(self.experiment.timed_seeds)


def _reads_pairs(formulation: Formulation, stage: Stage) -> bool:
    """Whether a stage is trained on stored pairs, and draws no data."""
    return stage.reads is not None and formulation.stage(stage.reads).kind == "pairs"


def _by_kind(solved: Sequence[tuple[float, float]], times: int) -> dict[str, float]:
    """Seconds of sampling and of metrics, ``times`` over."""
    sampling, metrics = (times * sum(kind) for kind in zip(*solved, strict=True))
    return {"sampling": sampling, "metrics": metrics}


def _evaluations(cell: Cell) -> float:
    if cell.nfe is not None:
        return float(cell.nfe)
    assert cell.tolerance is not None
    return _adaptive(cell.tolerance)


def _adaptive(tolerance: float) -> float:
    """Evaluations at a tolerance: the nearest entry on a logarithmic scale."""
    return min(ADAPTIVE_EVALUATIONS, key=lambda entry: abs(math.log(entry[0] / tolerance)))[1]
