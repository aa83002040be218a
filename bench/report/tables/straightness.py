"""The table of the three straightness figures."""

from __future__ import annotations

import pandas as pd

from bench.report.by_evaluations import without_flow
from bench.report.declared import DeclaredTable
from bench.report.numbers import (
    MISSING,
    bracket,
    seeds,
)
from bench.report.study import Study
from bench.report.table import (
    BLOCK,
    INTERVAL_COLUMNS,
    INTERVAL_NOTE,
    NOT_APPLICABLE,
    Table,
    absent,
    columns_of,
)
from bench.report.titles import STRAIGHTNESS, metric_title


def straightness(study: Study) -> Table:
    """The three straightness figures of each formulation."""
    data, text = [], []
    for panel in study.panels:
        expected = study.expected(panel)
        for label in study.labels(panel):
            line = {BLOCK: panel.title, "formulation": study.titles[label]}
            for metric in STRAIGHTNESS:
                interval = study.model_metric(panel, label, metric)
                if interval.n == 0:
                    line[metric_title(metric)] = (
                        absent(study, panel, label)
                        if study.has_flow(panel, label)
                        else NOT_APPLICABLE
                    )
                    continue
                line[metric_title(metric)] = bracket(interval) + seeds(interval.n, expected)
                data.append(
                    {
                        "experiment": panel.experiment,
                        "dataset": panel.dataset,
                        "label": label,
                        "metric": metric,
                        **columns_of(interval, expected),
                    }
                )
            text.append(line)
    caption = (
        "How straight the sampling trajectories are, from a fine solve; lower is straighter. "
        "Native: mean squared deviation of the velocity from the chord, on the model's own path "
        "and normalised time, over the squared chord (0 is straight). Arc over chord: length of "
        "the trajectory over the distance between its ends (1 is straight). Linear: native after "
        "change to the linear path. The three answer different questions and may disagree. "
        f"{without_flow(study, 'No trajectory have')}{INTERVAL_NOTE}"
    )
    frame = pd.DataFrame(text).fillna(MISSING)
    return Table("straightness", "Straightness", caption, pd.DataFrame(data), frame)


TABLE = DeclaredTable(
    section="geometry",
    rank=10,
    build=straightness,
    columns=("experiment", "dataset", "label", "metric", *INTERVAL_COLUMNS),
)
