"""What minibatch OT costs beside an update, and how far it straightens, by block size.

Run from the repository's root, on a machine that does nothing else:

    OMP_NUM_THREADS=1 .venv/bin/python tests/benchmarks/coupling_cost.py

For the two networks of the default experiment, at batch 256 on one thread of the CPU, updates of
the real training loop take turns with each coupling on the batch of that update, so that both see
the same machine in the same state (a coupling in a loop of its own finds warm caches and takes half
the time). Printed are medians, their ratio, and the mean squared distance of the pairs, as a share
of what one assignment of the whole batch gains over independent pairs.
"""

from __future__ import annotations

import time
from collections import defaultdict
from itertools import product
from statistics import fmean, median

import torch

from bench.data.dataset import DataSet
from bench.data.sources import digits, mixture2d
from bench.formulations.grammar import coupling, objective, path, time_sampling, weighting
from bench.models.path_model import PathModel, build_network
from bench.streams import stream
from bench.training.batches import FreshNoise
from bench.training.budget import Ledger
from bench.training.couplings import Coupling, Pair
from bench.training.loop import Settings, Trainer

BATCH = 256
REPEATS = 100
WHOLE = f"exact, block {BATCH}"
COUPLINGS: dict[str, Coupling] = {
    "independent": coupling("independent").build(),
    **{f"exact, block {b}": coupling("minibatch_ot", block=b).build() for b in (16, 32, 64, BATCH)},
}


def distance(pair: Pair) -> float:
    """Mean squared distance between noise and data."""
    return float((pair.noise - pair.data).square().flatten(1).sum(1).mean())


def trainer(dataset: DataSet, width: int) -> Trainer:
    """The training loop of flow matching on ``dataset``."""
    network = build_network("residual_mlp", dataset.shape, {"width": width, "depth": 3}, 0)
    return Trainer(
        model=PathModel(network, path("linear").build(), "velocity", dataset.sigma_data),
        objective=objective("regression").build(
            time_sampling=time_sampling("uniform").build(), weighting=weighting("unit").build()
        ),
        coupling=COUPLINGS["independent"],
        source=FreshNoise(dataset.train, 0),
        settings=Settings(BATCH, 1e-3, 0.1, 0.1, 1.0),
        ledger=Ledger(),
        seed=0,
    )


def measure(dataset: DataSet, width: int) -> None:
    """Print one line a coupling."""
    training = trainer(dataset, width)
    training.rehearse(5)
    updates: list[float] = []
    spent: dict[str, list[float]] = defaultdict(list)
    lengths: dict[str, list[float]] = defaultdict(list)
    for (name, couple), update in product(COUPLINGS.items(), range(REPEATS)):
        pair = training.source.batch(update, BATCH)
        start = time.perf_counter()
        training.rehearse(1)
        middle = time.perf_counter()
        coupled = couple(pair, stream(0, "coupling", update))
        spent[name].append(time.perf_counter() - middle)
        updates.append(middle - start)
        lengths[name].append(distance(coupled))
    print(f"{dataset.name}: an update takes {1e6 * median(updates):.0f} us")
    length = {name: fmean(found) for name, found in lengths.items()}
    most = length["independent"] - length[WHOLE]
    for name, found in spent.items():
        share, gain = median(found) / median(updates), (length["independent"] - length[name]) / most
        print(
            f"  {name:20} {1e6 * median(found):7.0f} us {share:8.1%} of an update {gain:7.1%} gain"
        )


def main() -> None:
    """Measure both networks of the default experiment."""
    torch.set_num_threads(1)
    measure(mixture2d.build(mixture2d.Options()), 128)
    measure(digits.build(digits.Options()), 256)


if __name__ == "__main__":
    main()
