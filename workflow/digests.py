"""Print the digests by which this version knows the results of an experiment file, as JSON.

What digests_of_0.6.0.txt prints of that version, place for place.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.experiment import digests
from bench.experiment.cells import cells, exact_flows, unified_cells
from bench.experiment.graph import Node, nodes
from bench.experiment.layout import Layout
from bench.experiment.loading import load
from bench.experiment.spec import Experiment
from bench.stages.timing import _timed


def told(experiment: Experiment) -> Iterator[tuple[str, str]]:
    """Pairs of a place and a digest: of stages by their folder, of cells by folder and cell."""
    for node in nodes(experiment):
        place = str(node.folder(Layout(Path())))
        yield place, node.digest(experiment)
        for below, base, key in _cells(experiment, node):
            yield f"{place}{below}/{json.dumps(key)}", digests.cell_digest(base, key)


def _cells(experiment: Experiment, node: Node) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """What a stage measures piece by piece: its place below the stage's, its base, and its key."""
    dataset, label, seed = node.dataset or "", node.label or "", node.seed
    if node.verb == "oracle":
        for flow in exact_flows(experiment):
            base = digests.oracle_base(experiment, dataset, flow.path)
            for cell in flow.cells:
                yield "", base, cell.key() | {"label": flow.label}
    if node.verb == "timing":
        for timed in experiment.labels:
            base = digests.timing_base(experiment, dataset, timed, experiment.seeds[0])
            for cell in _timed(experiment, experiment.formulation(timed)):
                yield f"/{timed}", base, cell.key()
    if node.verb == "screen" and seed is not None:
        base = digests.sweep_base(experiment, dataset, label, seed, node.verb)
        for cell in cells(experiment, experiment.formulation(label)):
            if cell.bank == "selection":
                yield "", base, cell.key()
    if node.verb == "sweep" and seed is not None:
        formulation = experiment.formulation(label)
        base = digests.sweep_base(experiment, dataset, label, seed)
        for what in ("geometry", "field"):
            yield "", base, {"solver": None, "what": what}
        for cell in (*cells(experiment, formulation), *unified_cells(experiment, formulation)):
            yield "", base, cell.key()


if __name__ == "__main__":
    print(json.dumps(dict(told(load(sys.argv[1])))))
