"""The main findings in sentences: every number and every verdict is computed from the records.

No sentence says more than its test: formulations are told apart by paired ratios that are
adjusted over all pairs (table ``pairs``), what is not told apart is said so with its ratio, and
what is at the floor ranks equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bench.report.findings.copying import copying, ladder
from bench.report.findings.evaluations import needed
from bench.report.findings.floors import against_floor, baselines
from bench.report.findings.leaders import expectation, leaders
from bench.report.findings.resolution import resolution, screened
from bench.report.findings.straightness import straightest
from bench.report.findings.warnings import warnings
from bench.report.study import Panel, Study

__all__ = ["findings", "warnings"]

PARTS: tuple[Callable[[Study, Panel], Iterable[str]], ...] = (
    leaders,
    expectation,
    needed,
    straightest,
    against_floor,
    baselines,
    copying,
    ladder,
    resolution,
    screened,
)
"""What makes sentences, in their order."""


def findings(study: Study, panel: Panel) -> list[str]:
    """Sentences on one data set."""
    if not study.nfe(panel):
        return ["No cell of this data set has a value."]
    return [sentence for part in PARTS for sentence in part(study, panel)]
