"""``extractor``: train the feature extractor of a data set, on its training half only."""

from __future__ import annotations

from typing import Any

from bench import digests
from bench.errors import InputError
from bench.files import replacing
from bench.layout import EXTRACTOR_WEIGHTS, Layout
from bench.spec import Experiment
from bench.stages.common import Outcome, Seconds, run_guarded


def run(experiment: Experiment, layout: Layout, *, dataset: str) -> Outcome:
    """Train on the training images; the outcome holds the accuracy on both halves.

    Raises:
        InputError: the data set declares no extractor.
    """
    name = experiment.described(dataset).extractor
    digest = digests.extractor_digest(experiment, dataset)
    if name is None or digest is None:
        raise InputError(f"data set {dataset!r} has no feature extractor; there is none to train")
    folder = layout.extractor(dataset)

    def work(seconds: Seconds) -> dict[str, Any]:
        with seconds("import"):
            import torch
            from safetensors.torch import save_file

            from bench.data import load
            from bench.extractors import accuracy, train
        torch.set_num_threads(experiment.training.threads)
        data = load(layout.data(dataset))
        with seconds("training"):
            network = train(name, data, experiment.extractor)
        with seconds("metrics"):
            reached = {
                "accuracy": accuracy(network, data, "held_out"),
                "accuracy_train": accuracy(network, data, "train"),
            }
        with replacing(folder / EXTRACTOR_WEIGHTS) as temporary:
            save_file(network.state_dict(), temporary)
        print(f"extractor {name}: accuracy {reached['accuracy']:.1%} on held-out images")
        return {"extractor": name, **reached}

    return run_guarded(
        folder,
        digest,
        work,
        files=[EXTRACTOR_WEIGHTS],
        upstream={"data": layout.data(dataset)},
    )
