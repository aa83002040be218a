"""``floor``: what real data, copies, a fitted Gaussian and an untrained network score.

Distances between finite sets are never zero. The rows tell how to read every other number of the
data set. All meet the very blocks of held-out samples that models meet, and are as many:

* ``floor.train``: real samples that no model has drawn, as often as ``metrics.floor_repeats`` says:
  new draws of the law where it can be drawn from, else random parts of the training data. It is the
  best that a model can be expected to reach, and how far that scatters. Of training data, values
  that compare with training data are left out: they are at no distance from themselves. Where the
  law can be drawn from, the metrics that rank have more draws (``floor_repeats_ranked``).
* ``floor.held_out``: held-out images as if they had been generated, random halves of them, for the
  metrics that tell copies. The other half is what they are held against.
* ``floor.copies``: training samples drawn again with replacement, as a perfect copier would.
* ``floor.gaussian``: samples of the Gaussian with the mean and covariance of the training data.
* ``floor.untrained``: the network of the experiment before its first update, as a velocity on the
  linear path, sampled by Euler.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from bench.evidence import records
from bench.evidence.columns import experiment_columns
from bench.evidence.records import Record
from bench.experiment import digests
from bench.experiment.layout import Layout
from bench.experiment.spec import Experiment
from bench.metrics.declared import directions
from bench.metrics.measurement import Measurement, evaluate
from bench.sampling.solvers.catalogue import solver
from bench.stages.running.devices import ready
from bench.stages.running.outcome import Outcome, run_guarded
from bench.stages.running.seconds import Seconds

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bench.data.dataset import DataSet
    from bench.metrics.context import References

TABLE = "floor.parquet"
BANK: Final = "scoring"
SOLVER = "euler"
NFE = 64
SEED = 0
REAL: Final = "floor.train"
COPYING = ("memorisation", "authenticity")
"""Metrics that tell copies from new samples."""


def run(experiment: Experiment, layout: Layout, *, dataset: str) -> Outcome:
    """Measure every baseline with the metrics of the data set."""
    folder = layout.floor(dataset)
    digest = digests.floor_digest(experiment, dataset)
    upstream = {"data": layout.data(dataset)}
    if experiment.described(dataset).extractor is not None:
        upstream["extractor"] = layout.extractor(dataset)

    def work(seconds: Seconds) -> dict[str, Any]:
        with seconds("import"):
            device = ready(experiment.training.threads, experiment.training.precision)
            from bench.data.files import load
            from bench.stages.running.assembly import references
        data = load(layout.data(dataset))
        real = references(experiment, layout, data, device)
        rows: list[Record] = []
        with seconds("sampling"):
            for baseline in baselines(experiment, real, device):
                with seconds("metrics"):
                    measured = baseline.measured()
                rows += [
                    {
                        **experiment_columns(experiment),
                        "dataset": dataset,
                        "label": baseline.label,
                        "replicate": baseline.replicate,
                        "noise_bank": BANK,
                        "n_samples": len(baseline.samples),
                        "device": device.type,
                        "precision": experiment.training.precision,
                        "run_digest": digest,
                        "status": "ok",
                        **baseline.columns,
                        **m.columns(),
                    }
                    for m in measured
                ]
        records.write(records.frame(rows), folder / TABLE)
        return {}

    return run_guarded(folder, digest, work, files=[TABLE], upstream=upstream)


@dataclass(frozen=True)
class Baseline:
    """Samples that no model has made.

    Attributes:
        label: in the records.
        samples: ``[n, *shape]``.
        references: what they are held against.
        replicate: number of the draw, where there are several.
        metrics: those that are measured, each by the name of one of its values; all unless given.
        is_train: whether they are training samples.
        columns: further columns of the record.
    """

    label: str
    samples: Tensor
    references: References
    replicate: int | None = None
    metrics: tuple[str | None, ...] = (None,)
    is_train: bool = False
    columns: Mapping[str, Any] = field(default_factory=dict)

    def measured(self) -> list[Measurement]:
        """The metrics; of training samples those that do not look at training data."""
        from bench.metrics.context import Context

        context = Context(self.samples, self.references)
        values = [m for name in self.metrics for m in evaluate(context, name)]
        return [m for m in values if not (self.is_train and _looks_at_train(m))]


def baselines(experiment: Experiment, real: References, device: torch.device) -> Iterator[Baseline]:
    """Every baseline, as many samples of each as a model is scored on, where there are so many."""
    data, sweep = real.dataset, experiment.sweep_of(real.dataset.name)
    count = sweep.samples[BANK]
    repeats = range(experiment.metrics.floor_repeats)
    known = data.sampler is not None or data.mixture is not None
    for i in repeats:
        samples = real_samples(data, count, sweep.block, i)
        yield Baseline(REAL, samples, real, i, is_train=not known)
    described = experiment.described(data.name)
    if known:
        ranked = (described.primary, *described.companions)
        for i in range(len(repeats), experiment.metrics.floor_repeats_ranked or 0):
            yield Baseline(REAL, real_samples(data, count, sweep.block, i), real, i, ranked)
    copies = tuple(name for name in COPYING if name in directions(described))
    if copies and not known:
        for i in repeats:
            yield _held_out_half(real, i, copies)
    if not data.unlimited:
        for i in repeats:
            yield Baseline("floor.copies", _drawn_again(data, count, i), real, i)
    yield Baseline("floor.gaussian", fitted_gaussian(data, count), real)
    yield Baseline(
        "floor.untrained",
        untrained(experiment, data, count, device),
        real,
        columns={"solver": SOLVER, "nfe": NFE},
    )


def real_samples(data: DataSet, count: int, block: int, replicate: int) -> Tensor:
    """Real samples ``[n, *shape]`` that are not held out: other ones for every replicate.

    ``n`` is ``count``, or as many whole blocks as the training data have where they are fewer and
    nothing else can be drawn from.
    """
    import torch

    from bench.data.endless import rows
    from bench.streams import stream

    if data.mixture is not None:
        generator = stream("floor", "real", data.name, replicate)
        return data.mixture.draw(count, generator)[0].float().reshape(count, *data.shape)
    if data.sampler is not None:
        return rows(data.sampler, 0, count, data.name, "floor", replicate).samples
    generator = stream("floor", "split", data.name, replicate)
    order = torch.randperm(len(data.train), generator=generator)
    return data.train[order[: min(count, len(data.train) // block * block)]]


def _held_out_half(real: References, replicate: int, metrics: tuple[str, ...]) -> Baseline:
    """One half of the held-out samples as samples, and the other as those held out."""
    import torch

    from bench.streams import stream

    data = real.dataset
    generator = stream("floor", "halves", data.name, replicate)
    order = torch.randperm(len(data.held_out), generator=generator)
    half = len(order) // 2
    others = replace(data, held_out=data.held_out[order[half:]], held_out_labels=None)
    settings = replace(real.settings, block=half)
    samples = data.held_out[order[:half]]
    references = replace(real, dataset=others, settings=settings, _derived={})
    return Baseline("floor.held_out", samples, references, replicate, metrics)


def _drawn_again(data: DataSet, count: int, replicate: int) -> Tensor:
    """Training samples ``[count, *shape]``, drawn with replacement."""
    import torch

    from bench.streams import stream

    generator = stream("floor", "copies", data.name, replicate)
    return data.train[torch.randint(len(data.train), (count,), generator=generator)]


def fitted_gaussian(data: DataSet, count: int) -> Tensor:
    """Draws ``[count, *shape]`` of the Gaussian with the training data's mean and covariance."""
    import torch

    from bench.streams import stream

    flat = data.train.flatten(1).double()
    variances, axes = torch.linalg.eigh(flat.T.cov())
    # Pixels that never vary give variances of zero, which rounding can make negative.
    roots = axes * variances.clamp(min=0).sqrt()
    generator = stream("floor", "gaussian", data.name)
    z = torch.randn(count, len(roots), generator=generator, dtype=torch.float64)
    return (flat.mean(0) + z @ roots.T).float().reshape(count, *data.shape)


def untrained(experiment: Experiment, data: DataSet, count: int, device: torch.device) -> Tensor:
    """Samples ``[count, *shape]`` of the experiment's network as it is initialised."""
    from bench.models.path_model import PathModel, build_network
    from bench.models.paths.linear import Linear
    from bench.sampling.banks import starting_noise
    from bench.sampling.sample import Request, sample

    spec = experiment.datasets[data.name].network
    network = build_network(spec.kind, data.shape, spec.model_dump(exclude={"kind"}), SEED)
    model = PathModel(network.to(device), Linear(), "velocity", data.sigma_data)
    noise = starting_noise(SEED, BANK, count, data.shape).to(device)
    request = Request(solver(SOLVER), NFE)
    return sample(model, noise, request, experiment.sweep.batch_size).end.cpu()


def _looks_at_train(measurement: Measurement) -> bool:
    return measurement.reference_set == "train" or measurement.metric in COPYING
