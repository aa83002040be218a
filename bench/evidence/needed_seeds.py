"""Seeds and samples that seeing a difference needs: ``plan --detect RATIO``. Torch-free."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

from bench.errors import InputError
from bench.evidence import records
from bench.evidence.statistics import exact_cells, select_samplers
from bench.evidence.statistics.components import Spread, bank_values, paired_components, pooled
from bench.evidence.statistics.power import MOST_SEEDS, POWER, SIZE, requirement
from bench.experiment.cells import SCORING
from bench.experiment.layout import Layout
from bench.experiment.spec import Experiment

RECORDS = "records.parquet"
PUBLISHED = "reference"

ASSUMED = Spread(retraining=0.1, per_sample=17.0)
"""Of paired log ratios where nothing was measured: about that of the default experiment, whose
resampling error at 1,194 samples is 0.12."""


def spreads(experiment: Experiment, source: Path) -> dict[str, Spread]:
    """How paired log ratios spread over seeds, by data set, in the records of a finished run.

    The mean of the variances over all pairs of formulations, with the selected samplers, at the
    most evaluations that both have. Data sets without two seeds and two noise banks are left out.
    """
    table, by_dataset = records.read(source), {}
    for dataset in experiment.datasets:
        rows = table[(table["dataset"] == dataset).fillna(False)]
        cells = exact_cells(rows, experiment.described(dataset).primary)
        values = bank_values(cells, select_samplers(cells))
        pairs = combinations(sorted(set(cells["label"])), 2)
        parts = (paired_components(values, label, reference) for label, reference in pairs)
        average = pooled(part for part in parts if part is not None)
        if average is not None:
            by_dataset[dataset] = average.spread
    return by_dataset


def source_of(experiment: Experiment, layout: Layout) -> Path | None:
    """Records of the experiment: those of its own folder, else those published under its name."""
    published = layout.root.parent / PUBLISHED / experiment.name
    files = (folder / RECORDS for folder in (layout.root, published))
    return next((file for file in files if file.is_file()), None)


def describe_detection(experiment: Experiment, layout: Layout, ratio: float) -> str:
    """Seeds and samples that seeing a ``ratio`` between two formulations needs, as text.

    A data set without records is given the spread :data:`ASSUMED`, and its lines say so.

    Raises:
        InputError: a ratio that is no ratio, or 1.
    """
    if not (0 < ratio < math.inf and ratio != 1):
        raise InputError(
            f"plan: --detect {ratio:g}: not a ratio of two formulations; give a positive number "
            "other than 1, such as 1.1"
        )
    source = source_of(experiment, layout)
    measured_spreads = {} if source is None else spreads(experiment, source)
    lines = [
        f"to see a factor of {ratio:g} between two formulations, paired within the seed (power "
        f"{POWER:.0%}, level {SIZE:.0%})"
    ]
    for dataset in experiment.datasets:
        if dataset in measured_spreads:
            lines += _lines(experiment, dataset, measured_spreads[dataset], ratio, f"from {source}")
        else:
            lines += _lines(experiment, dataset, ASSUMED, ratio, "assumed, not measured")
    return "\n".join(lines)


def _lines(
    experiment: Experiment, dataset: str, spread: Spread, ratio: float, origin: str
) -> Iterator[str]:
    seeds, samples = len(experiment.seeds), experiment.sweep_of(dataset).samples[SCORING]
    need = requirement(spread, ratio, seeds, samples)
    yield (
        f"  {dataset}: {_count(need.seeds)} of {samples:,} samples, {_count(need.seeds_at_least)} "
        "of any number of samples"
    )
    yield (
        f"    retraining sd {spread.retraining:.3f}, resampling sd "
        f"{spread.resampling(samples):.3f} of the log ratio, {origin}"
    )
    if math.isfinite(need.samples_enough):
        yield f"    beyond {need.samples_enough:,.0f} samples only more seeds help"
    else:
        yield "    no retraining error was found: more samples help as much as more seeds"
    if seeds > 1:
        yield f"    {seeds} seeds of {samples:,} samples see a factor of {need.smallest:.3g}"
    else:
        yield "    a single seed sees nothing: it has no interval"


def _count(seeds: int | None) -> str:
    return f"more than {MOST_SEEDS:,} seeds" if seeds is None else f"{seeds:,} seeds"
