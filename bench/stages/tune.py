"""Choose the learning rates: for each data set and formulation one winner of a small common grid.

A tuning experiment runs every formulation at every rate of the grid, on a seed that is never
reported; :mod:`bench.report.learning_rates` scores them.
"""

from __future__ import annotations

import sys

from bench.errors import InputError
from bench.evidence import records
from bench.experiment.layout import Layout
from bench.experiment.spec import Experiment
from bench.report import RECORDS, rates
from bench.report.learning_rates import base_titles, edges, scores, table, winners
from bench.report.study import Study
from bench.report.style import save, styled


def run(experiment: Experiment, layout: Layout) -> None:
    """Write table and figure of the grid, and print the winners as a block for a config.

    Raises:
        InputError: the experiment has no grid, or its records have not been collected.
    """
    if experiment.tuning is None:
        raise InputError(f"{experiment.name}: no tuning section; give a tuning experiment")
    if not (layout.root / RECORDS).is_file():
        raise InputError(f"{layout.root}: no {RECORDS}; run collect first")
    rate_scores = scores(experiment, records.read(layout.root / RECORDS))
    study = Study(records.frame([]), [experiment])
    table(study, rate_scores).write(layout.root / "tables")
    with styled():
        titles = {panel.dataset: panel.title for panel in study.panels}
        drawing = rates.draw(rate_scores, base_titles(study), titles)
        save(drawing, layout.root / "figures", "tuning", "Learning rates")
    for warning in edges(rate_scores):
        print(f"warning: {warning}", file=sys.stderr)
    print(yaml_block(winners(rate_scores)))


def yaml_block(picked: dict[str, dict[str, float]]) -> str:
    """The winners as they stand in a config, below ``training``."""
    lines = ["learning_rate:"]
    for dataset, winning in picked.items():
        lines.append(f"  {dataset}:")
        lines += [f"    {label}: {_yaml_number(rate)}" for label, rate in winning.items()]
    return "\n".join(lines)


def _yaml_number(rate: float) -> str:
    """YAML reads ``1e-05`` as a string, ``1.0e-05`` as a number."""
    text = f"{rate:g}"
    return text.replace("e", ".0e") if "e" in text and "." not in text else text
