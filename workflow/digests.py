"""Print the digests by which this version knows the results of an experiment file, as JSON.

What digests_of_0.6.0.txt prints of that version, place for place.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

from bench.experiment import digests
from bench.experiment.cells import cells, exact_flows, has_likelihood, has_oracle, unified_cells
from bench.experiment.loading import load
from bench.experiment.spec import Experiment
from bench.stages.timing import _timed


def told(experiment: Experiment) -> Iterator[tuple[str, str | None]]:
    """Pairs of a place and a digest: of stages by their folder, of cells by folder and cell."""
    for dataset in experiment.datasets:
        yield f"data/{dataset}", digests.data_digest(experiment, dataset)
        yield f"extractors/{dataset}", digests.extractor_digest(experiment, dataset)
        yield f"floor/{dataset}", digests.floor_digest(experiment, dataset)
        if has_oracle(experiment, dataset):
            yield f"oracle/{dataset}", digests.oracle_digest(experiment, dataset)
            for flow in exact_flows(experiment):
                base = digests.oracle_base(experiment, dataset, flow.path)
                for cell in flow.cells:
                    key = cell.key() | {"label": flow.label}
                    place = f"oracle/{dataset}/{json.dumps(key)}"
                    yield place, digests.cell_digest(base, key)
        yield f"timing/{dataset}", digests.timing_digest(experiment, dataset)
        for label in experiment.labels:
            formulation = experiment.formulation(label)
            if experiment.is_calibrated(label):
                place = f"calibration/{dataset}/{label}"
                yield place, digests.calibration_digest(experiment, dataset, label)
            base = digests.timing_base(experiment, dataset, label)
            for cell in _timed(experiment, formulation):
                place = f"timing/{dataset}/{label}/{json.dumps(cell.key())}"
                yield place, digests.cell_digest(base, cell.key())
            for seed in experiment.seeds:
                root = f"runs/{dataset}/{label}/seed{seed}"
                for stage in formulation.stages:
                    digest = digests.stage_digest(experiment, dataset, label, stage.name, seed)
                    yield f"{root}/{stage.name}", digest
                if has_likelihood(experiment, label):
                    digest = digests.likelihood_digest(experiment, dataset, label, seed)
                    yield f"{root}/likelihood", digest
                yield f"{root}/sweep", digests.sweep_digest(experiment, dataset, label, seed)
                base = digests.sweep_base(experiment, dataset, label, seed)
                keys = [{"solver": None, "what": what} for what in ("geometry", "field")]
                todo = (*cells(experiment, formulation), *unified_cells(experiment, formulation))
                for key in [*keys, *(cell.key() for cell in todo)]:
                    place = f"{root}/sweep/{json.dumps(key)}"
                    yield place, digests.cell_digest(base, key)
    if experiment.convergence is not None:
        yield "convergence", digests.convergence_digest(experiment.convergence.paths)


if __name__ == "__main__":
    print(json.dumps(dict(told(load(sys.argv[1])))))
