"""The screens of a label's seeds, as a sweep finds them."""

from __future__ import annotations

import pandas as pd

from bench.evidence import records
from bench.experiment import digests
from bench.registry import aside
from bench.stages.running.cell_by_cell import Model
from bench.stages.running.outcome import INCOMPLETE, UpstreamError, read_outcome, require

VERB = "screen"


@aside("chooses cells; each has a digest of its own")
def read_screens(of: Model) -> tuple[pd.DataFrame, str | None]:
    """Rows of the screens of all seeds of a label, and what is missing of them, in words.

    A screen that failed leaves the choice to the others; one that has not run, or ran for another
    experiment, would change the choice unseen.

    Raises:
        UpstreamError: a screen has not run for this experiment, its file is not as it was written,
            or all have failed.
    """
    tables, missing = [], []
    experiment = of.experiment
    for seed in experiment.seeds:
        folder = of.layout.screen(of.dataset, of.label, seed)
        outcome = read_outcome(folder)
        expected = digests.screen_digest(experiment, of.dataset, of.label, seed)
        if outcome is None or outcome["digest"] != expected:
            raise UpstreamError(f"upstream {VERB} of seed {seed} has not run; run {VERB} first")
        if outcome["status"] == "failed":
            missing.append(seed)
            continue
        if outcome.get(INCOMPLETE):
            missing.append(seed)
        require(f"{VERB} of seed {seed}", folder)
        tables.append(records.read(folder / f"{VERB}.parquet"))
    if not tables:
        raise UpstreamError(f"upstream {VERB} failed on every seed")
    named = ", ".join(map(str, missing))
    without = f"samplers chosen without the whole screen of seeds {named}" if missing else None
    return pd.concat(tables, ignore_index=True), without
