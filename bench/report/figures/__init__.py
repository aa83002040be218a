"""Every figure of a report, and its files: one file a figure, whose ``FIGURE`` declares it.

A figure is a function of a :class:`~bench.report.study.Study`, from records and from the small
arrays that a sweep leaves beside them. It returns a matplotlib figure, or a sentence that says why
there is nothing to draw.
"""

from __future__ import annotations

from pathlib import Path

from bench.report import FIGURES
from bench.report.declared import figure
from bench.report.study import Study
from bench.report.style import NOTHING, empty, is_empty, save, styled

READ_IN_A_TABLE = "A grid of learning rates is read in its table."


def from_arrays() -> list[str]:
    """Names of the figures that need files a published run does not hold."""
    return [name for name in FIGURES if figure(name).from_arrays]


def write_all(study: Study, folder: Path) -> dict[str, str]:
    """Draw every figure into ``folder``; a drawing that arrays are missing for is left as it is.

    Returns:
        For each figure that shows nothing the reason, by name.
    """
    reasons = {}
    tuned = all(experiment.tuning is not None for experiment in study.experiments)
    with styled():
        for name in FIGURES:
            declaration = figure(name)
            drawn = READ_IN_A_TABLE if tuned else declaration.draw(study)
            if isinstance(drawn, str):
                earlier = folder / f"{name}.svg"
                if declaration.from_arrays and earlier.is_file() and not is_empty(earlier):
                    continue
                reasons[name] = drawn
                save(empty(drawn), folder, name, NOTHING)
            else:
                save(drawn, folder, name, name.replace("_", " "))
    return reasons
