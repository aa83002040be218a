"""Every figure of a report, by name, and its files.

A figure is a function of a :class:`~bench.report.study.Study`, from records and from the small
arrays that a sweep leaves beside them. It returns a matplotlib figure, or a sentence that says why
there is nothing to draw.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.report import FIGURES
from bench.report.figures.drawing import Drawn
from bench.report.figures.models import samples, straightness, trajectories
from bench.report.figures.paths import error_split
from bench.report.figures.quality import quality_vs_nfe, quality_vs_wallclock
from bench.report.figures.solvers import convergence
from bench.report.figures.style import NOTHING, empty, is_empty, save, styled
from bench.report.figures.training import budget, training
from bench.report.study import Study

DRAWERS: dict[str, Callable[[Study], Drawn]] = {
    "quality_vs_nfe": quality_vs_nfe,
    "quality_vs_wallclock": quality_vs_wallclock,
    "straightness": straightness,
    "samples": samples,
    "trajectories": trajectories,
    "error_split": error_split,
    "convergence": convergence,
    "training": training,
    "budget": budget,
}

FROM_ARRAYS = ("samples", "trajectories", "training")
"""Figures that need files a published run does not hold."""


TUNED = "A grid of learning rates is read in its table."


def write_all(study: Study, folder: Path) -> dict[str, str]:
    """Draw every figure into ``folder``; a drawing that arrays are missing for is left as it is.

    Returns:
        For each figure that shows nothing the reason, by name.
    """
    reasons = {}
    tuned = all(experiment.tuning is not None for experiment in study.experiments)
    with styled():
        for name in FIGURES:
            drawn = TUNED if tuned else DRAWERS[name](study)
            if isinstance(drawn, str):
                kept = folder / f"{name}.svg"
                if name in FROM_ARRAYS and kept.is_file() and not is_empty(kept):
                    continue
                reasons[name] = drawn
                save(empty(drawn), folder, name, NOTHING)
            else:
                save(drawn, folder, name, name.replace("_", " "))
    return reasons
