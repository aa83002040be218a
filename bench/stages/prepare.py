"""``prepare``: build a data set once, into a file that every other stage reads."""

from __future__ import annotations

from typing import Any

from bench import digests
from bench.data import DESCRIPTION, TENSORS, data_module, save
from bench.layout import Layout
from bench.spec import Experiment
from bench.stages.common import Outcome, Seconds, run_guarded


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
