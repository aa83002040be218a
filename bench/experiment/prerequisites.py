"""What a run cannot make itself, looked for before it starts rather than after the training."""

from __future__ import annotations

from bench.errors import InputError
from bench.experiment.layout import Layout
from bench.experiment.spec import Experiment


def check(experiment: Experiment, layout: Layout) -> None:
    """See that the feature extractor of every data set can be made ready.

    One that is ready already is not looked at again.

    Raises:
        InputError: published weights are not at hand, or nothing can train the extractor.
    """
    for name in experiment.datasets:
        described = experiment.described(name)
        if described.extractor is None or layout.extractor_weights(name).exists():
            continue
        from bench.metrics.extractors import Classifier, extractor_module, weights_file

        if weights_file(described.extractor, experiment.extractor.weights) is not None:
            continue
        where = f"datasets.{name}.options: extractor {described.extractor!r}"
        if not issubclass(extractor_module(described.extractor).build, Classifier):
            raise InputError(f"{where} is measured beside any other: name one that is trained")
        if described.classes is None:
            raise InputError(f"{where} is trained to tell classes apart: give classes")
