"""``extractor``: make the feature extractor of a data set ready.

It is trained on the training half only, on samples of its own where training is unlimited; or its
published weights are verified and taken over.
"""

from __future__ import annotations

from typing import Any

from bench.errors import InputError
from bench.experiment import digests
from bench.experiment.layout import EXTRACTOR_WEIGHTS, Layout
from bench.experiment.spec import Experiment
from bench.files import replacing
from bench.stages.running.devices import ready
from bench.stages.running.outcome import Outcome, run_guarded
from bench.stages.running.seconds import Seconds


def run(experiment: Experiment, layout: Layout, *, dataset: str) -> Outcome:
    """Write the extractor's weights; the outcome of a trained one holds its accuracies.

    Raises:
        InputError: the data set declares no extractor, or published weights are not at hand.
    """
    name = experiment.described(dataset).extractor
    digest = digests.extractor_digest(experiment, dataset)
    if name is None or digest is None:
        raise InputError(f"data set {dataset!r} has no feature extractor; there is none to train")
    folder = layout.extractor(dataset)
    from bench.metrics.extractors import weights_file

    # Outside of the guarded work: missing weights are bad input, not a stage that failed.
    source = weights_file(name, experiment.extractor.weights)

    def work(seconds: Seconds) -> dict[str, Any]:
        with seconds("import"):
            device = ready(experiment.training.threads)
            from safetensors.torch import save_file

            from bench.data.files import load
            from bench.metrics.extractors import accuracy, published, shown, train
        if source is not None:
            with replacing(folder / EXTRACTOR_WEIGHTS) as temporary:
                save_file(published(source), temporary)
            print(f"extractor {name}: weights of {source}")
            return {"extractor": name, "source": source.name}
        with seconds("training"):
            data = shown(load(layout.data(dataset)), experiment.extractor.samples)
            network = train(name, data, experiment.extractor, device)
        with seconds("metrics"):
            reached = {
                "accuracy": accuracy(network, data, "held_out"),
                "accuracy_train": accuracy(network, data, "train"),
            }
        with replacing(folder / EXTRACTOR_WEIGHTS) as temporary:
            save_file(network.cpu().state_dict(), temporary)
        print(f"extractor {name}: accuracy {reached['accuracy']:.1%} on held-out images")
        return {"extractor": name, **reached}

    return run_guarded(
        folder,
        digest,
        work,
        files=[EXTRACTOR_WEIGHTS],
        upstream={"data": layout.data(dataset)},
    )
