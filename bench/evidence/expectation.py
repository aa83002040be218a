"""What a run was expected to cost, written down before it costs anything.

The estimate of :mod:`bench.experiment.costs` is fitted to runs that have been made, so one that is
made afterwards says nothing: the report shows what was stored when the run started, or that
nothing was.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bench.evidence.version import running
from bench.experiment.costs import Plan
from bench.experiment.graph import nodes
from bench.experiment.layout import OUTCOME, Layout
from bench.experiment.spec import Experiment
from bench.files import read_json, write_json

EXPECTED = "expected.json"
"""File of the estimate, beside the manifest, which repeats it."""


def store(experiment: Experiment, layout: Layout) -> None:
    """Write the estimate of a run that starts; one of which something has run keeps what it has."""
    if any((node.folder(layout) / OUTCOME).is_file() for node in nodes(experiment)):
        return
    estimate = {
        "config_digest": experiment.digest,
        "stored": datetime.now(UTC).isoformat(timespec="seconds"),
        "by": running(),
        "core_seconds": Plan(experiment).seconds(),
    }
    write_json(layout.root / EXPECTED, estimate)


def stored(experiment: Experiment, layout: Layout) -> dict[str, Any] | None:
    """The estimate of this very experiment, or None where none was stored when it started."""
    path = layout.root / EXPECTED
    estimate: dict[str, Any] | None = read_json(path) if path.is_file() else None
    if estimate is None or estimate["config_digest"] != experiment.digest:
        return None
    return estimate
