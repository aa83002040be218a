"""The page of published runs: what each is, its tables, and what it says, all from its files.

The runs are whatever folders with records and a manifest lie below one folder. Sentences are those
of :mod:`bench.report.findings`; nothing is decided here.
"""

from __future__ import annotations

from bench.report.published.claims import verdicts
from bench.report.published.front import front_table, results
from bench.report.published.overview import overview
from bench.report.published.run import Run, read_runs
from bench.report.published.sections import reading, sections

__all__ = [
    "Run",
    "front_table",
    "overview",
    "read_runs",
    "reading",
    "results",
    "sections",
    "verdicts",
]
