"""A made-up run with its report, written once a session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.experiment.layout import Layout
from bench.report.study import Study
from bench.stages import collect, report
from tests import synthetic
from tests.sharing import once

FAILED = "ot_flow_matching"
SEEDS = [0, 1, 2]


WHOLE = ("flow_matching", "consistency_training")


def _run(root: Path, failed: tuple[str, ...] = (), **changes: Any) -> Path:
    experiment = synthetic.experiment(seeds=SEEDS, **changes)
    synthetic.write_run(experiment, root, failed)
    collect.run(experiment, Layout(root))
    report.run(experiment, Layout(root))
    return root


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results folder of a run in which everything succeeded."""
    return once(tmp_path_factory, "synthetic", _run)


@pytest.fixture(scope="session")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results folder of a run in which one of three formulations failed on every data set."""
    formulations = dict.fromkeys((FAILED, *WHOLE))
    return once(
        tmp_path_factory,
        "synthetic_broken",
        lambda root: _run(root, (FAILED,), formulations=formulations),
    )


@pytest.fixture(scope="session")
def study(finished: Path) -> Study:
    return Study.read(finished)
