"""``plan``: what an experiment would do and cost, without doing it."""

from __future__ import annotations

from bench.experiment.layout import Layout
from bench.experiment.plan import describe
from bench.experiment.spec import Experiment


def run(
    experiment: Experiment, layout: Layout, *, cores: int | None, detect: float | None = None
) -> None:
    """Print the plan; ``cores`` are those of this machine unless given.

    With ``detect``, the seeds and samples that seeing such a ratio needs are printed too.

    Raises:
        InputError: a ratio that is no ratio, or 1.
    """
    extra = []
    if detect is not None:
        from bench.evidence.needed_seeds import describe_detection

        extra = ["", describe_detection(experiment, layout, detect), ""]
    print(describe(experiment, cores, layout), *extra, f"results: {layout.root}", sep="\n")
