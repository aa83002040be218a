"""``prepare``: build a data set once, into a file that every other stage reads."""

from __future__ import annotations

from typing import Any

from bench.data.dataset import data_module
from bench.data.files import DESCRIPTION, TENSORS, save
from bench.experiment import digests
from bench.experiment.layout import Layout
from bench.experiment.spec import Experiment
from bench.stages.running.outcome import Outcome, run_guarded
from bench.stages.running.seconds import Seconds


def run(experiment: Experiment, layout: Layout, *, dataset: str) -> Outcome:
    """Build ``bench/data/<dataset>.py`` with its options; the outcome holds the description."""
    folder = layout.data(dataset)

    def work(seconds: Seconds) -> dict[str, Any]:
        with seconds("import"):
            import torch
        torch.set_num_threads(experiment.training.threads)
        module = data_module(dataset)
        options = module.Options(**experiment.datasets[dataset].options)
        return save(module.build(options), folder)

    digest = digests.data_digest(experiment, dataset)
    return run_guarded(folder, digest, work, files=[TENSORS, DESCRIPTION])
