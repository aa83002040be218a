"""A published run: its study, and what its manifest says of how it was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.evidence.manifest import MANIFEST
from bench.evidence.version import running
from bench.experiment.sections import RUNG
from bench.experiment.spec import Experiment
from bench.report import RECORDS
from bench.report.costs import cost_matrix
from bench.report.findings.words import listed
from bench.report.learning_rates import scores
from bench.report.study import Study

FIRST = "default"
"""The run that stands first: what ``make bench`` makes."""


@dataclass(frozen=True)
class Run:
    """One published run.

    Attributes:
        folder: where its files lie.
        study: its records.
    """

    folder: Path
    study: Study

    @property
    def experiment(self) -> Experiment:
        """Its experiment."""
        return self.study.experiments[0]

    @property
    def name(self) -> str:
        """The name of its experiment."""
        return self.experiment.name

    @property
    def manifest(self) -> dict[str, Any]:
        """Its manifest."""
        return self.study.manifests[self.name]

    @cached_property
    def versions(self) -> tuple[str, ...]:
        """The versions of the code that made its stages, or that was installed if none is told."""
        told = [part.get("version") for part in self.manifest.get("made_by", ())]
        known = [version for version in told if version]
        return tuple(dict.fromkeys(known)) or (self.collected_by,)

    @property
    def collected_by(self) -> str:
        """The version that collected its records, or that was installed if none is told."""
        installed = self.manifest["packages"].get("genpath-bench", "unknown")
        return str(self.manifest.get("collected_by", {}).get("version", installed))

    @property
    def version(self) -> str:
        """Its versions as they are shown."""
        told = any(part.get("version") for part in self.manifest.get("made_by", ()))
        return listed(self.versions) + ("" if told else " (as installed; its stages name none)")

    @property
    def is_older(self) -> bool:
        """Whether an earlier or other version than the running one made some of it."""
        return self.versions != (running()["version"],)

    @property
    def date(self) -> str:
        """The day on which it was collected."""
        return str(self.manifest["collected"])[:10]

    @property
    def is_tuning(self) -> bool:
        """Whether it chooses learning rates, and compares nothing."""
        return self.experiment.tuning is not None

    @property
    def is_ladder(self) -> bool:
        """Whether its labels are multiples of a budget."""
        return any(RUNG in label for label in self.experiment.labels)

    @cached_property
    def core_seconds(self) -> dict[str, float]:
        """What it cost, by kind of work."""
        return {str(kind): float(s) for kind, s in cost_matrix(self.study).sum().items()}

    @cached_property
    def rate_scores(self) -> Any:
        """Scores of the learning rates of a tuning run, see :mod:`bench.report.learning_rates`."""
        return scores(self.experiment, self.study.records)


def read_runs(folder: Path) -> list[Run]:
    """The runs whose records lie below ``folder``: the default one first, tuning last."""
    found = [
        Run(path, Study.read(path))
        for path in sorted(folder.iterdir())
        if (path / RECORDS).is_file() and (path / MANIFEST).is_file()
    ]
    return sorted(found, key=lambda run: (run.is_tuning, run.name != FIRST, run.name))


def joined(runs: Sequence[Run]) -> list[Run]:
    """The runs that answer the claims together: collected by one version, on the same data.

    A run that names a data set which is made otherwise in a run before it measured something else;
    so did one of several budgets, and one that chooses learning rates.
    """
    together: list[Run] = []
    described: dict[str, Any] = {}
    for run in runs:
        options = {name: spec.options for name, spec in run.experiment.datasets.items()}
        differs = any(described.get(name, made) != made for name, made in options.items())
        if run.is_tuning or run.is_ladder or differs:
            continue
        if together and run.collected_by != together[0].collected_by:
            continue
        together.append(run)
        described |= options
    return together
