"""``floor``: what real data, a fitted Gaussian and an untrained network score.

Distances between finite sets are never zero. The rows tell how to read every other number of the
data set:

* ``floor.train``: disjoint blocks of training data against held-out data, the best that a model can
  be expected to reach. Values that compare with training data are left out: training data is not
  at a distance from itself.
* ``floor.gaussian``: samples of the Gaussian with the mean and covariance of the training data.
* ``floor.untrained``: the network of the experiment before its first update, as a velocity on the
  linear path, sampled by Euler.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from bench.evidence import records
from bench.evidence.columns import experiment_columns
from bench.evidence.records import Record
from bench.experiment import digests
from bench.experiment.layout import Layout
from bench.experiment.spec import Experiment
from bench.metrics.measurement import Measurement, evaluate
from bench.sampling.solvers.catalogue import solver
from bench.stages.running.devices import ready
from bench.stages.running.outcome import Outcome, run_guarded
from bench.stages.running.seconds import Seconds

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bench.data.dataset import DataSet

TABLE = "floor.parquet"
BANK: Final = "scoring"
SOLVER = "euler"
NFE = 64
SEED = 0
LOOKS_AT_TRAIN = "memorisation"


def run(experiment: Experiment, layout: Layout, *, dataset: str) -> Outcome:
    """Measure the three rows with every metric of the data set."""
    folder = layout.floor(dataset)
    digest = digests.floor_digest(experiment, dataset)
    upstream = {"data": layout.data(dataset)}
    if experiment.described(dataset).extractor is not None:
        upstream["extractor"] = layout.extractor(dataset)

    def work(seconds: Seconds) -> dict[str, Any]:
        with seconds("import"):
            device = ready(experiment.training.threads, experiment.training.precision)
            from bench.data.files import load
            from bench.metrics.context import Context
            from bench.stages.running.assembly import references
        data = load(layout.data(dataset))
        real = references(experiment, layout, data, device)
        rows: list[Record] = []
        with seconds("sampling"):
            for label, samples, columns in baselines(experiment, data, device):
                with seconds("metrics"):
                    measured = evaluate(Context(samples, real))
                rows += [
                    {
                        **experiment_columns(experiment),
                        "dataset": dataset,
                        "label": label,
                        "noise_bank": BANK,
                        "n_samples": len(samples),
                        "device": device.type,
                        "precision": experiment.training.precision,
                        "run_digest": digest,
                        "status": "ok",
                        **columns,
                        **m.columns(),
                    }
                    for m in measured
                    if label != "floor.train" or not _looks_at_train(m)
                ]
        records.write(records.frame(rows), folder / TABLE)
        return {}

    return run_guarded(folder, digest, work, files=[TABLE], upstream=upstream)


def baselines(
    experiment: Experiment, data: DataSet, device: torch.device
) -> Iterator[tuple[str, Tensor, dict[str, Any]]]:
    """Label, samples and further columns of each row; as many samples as a model is scored on.

    Of real data there are as many blocks as the held-out set holds, where that is more.
    """
    sweep = experiment.sweep_of(data.name)
    count, block = sweep.samples[BANK], sweep.block
    blocks = max(count, len(data.held_out)) // block
    yield "floor.train", data.train[: min(blocks, len(data.train) // block) * block], {}
    yield "floor.gaussian", fitted_gaussian(data, count), {}
    yield (
        "floor.untrained",
        untrained(experiment, data, count, device),
        {"solver": SOLVER, "nfe": NFE},
    )


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
    return measurement.reference_set == "train" or measurement.metric == LOOKS_AT_TRAIN
