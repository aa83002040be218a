"""The estimate of a run is the one that was made before it, or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import __version__
from bench.evidence import expectation, records
from bench.evidence.manifest import manifest
from bench.experiment.costs import Plan
from bench.experiment.graph import nodes
from bench.experiment.layout import OUTCOME, Layout
from bench.experiment.spec import Experiment
from bench.files import write_json
from bench.report.study import Study
from bench.report.tables.cost import cost
from tests import synthetic


@pytest.fixture
def one() -> Experiment:
    return synthetic.experiment(seeds=[0])


def has_run(experiment: Experiment, root: Path) -> None:
    """Leave the outcome of one stage."""
    folder = nodes(experiment)[0].folder(Layout(root))
    folder.mkdir(parents=True)
    write_json(folder / OUTCOME, {"status": "ok", "seconds": {}})


def shown(experiment: Experiment, root: Path) -> dict[str, str]:
    """The row of the table ``cost`` that tells what was expected."""
    row = {"experiment": experiment.name, "dataset": "digits", "label": "flow_matching"}
    table = records.frame([row | {"metric": "cost.training", "value": 3.0}])
    about = {experiment.name: manifest(experiment, root, ["bench"])}
    return cost(Study(table, [experiment], {}, about)).text.iloc[-1].to_dict()


def test_the_report_shows_what_was_stored_when_the_run_started(
    one: Experiment, tmp_path: Path
) -> None:
    expectation.store(one, Layout(tmp_path))
    stored = expectation.stored(one, Layout(tmp_path))
    assert stored is not None
    assert stored["by"]["version"] == __version__
    assert stored["core_seconds"] == Plan(one).seconds()
    told = stored | {"core_seconds": dict.fromkeys(stored["core_seconds"], 7.0)}
    write_json(tmp_path / expectation.EXPECTED, told)
    has_run(one, tmp_path)
    expectation.store(one, Layout(tmp_path))  # it goes on, with another idea of its cost
    row = shown(one, tmp_path)
    assert (row["what"], row["training"], row["total"]) == ("expected by plan", "7.00", "35.0")


def test_a_run_that_has_begun_without_is_told_nothing_afterwards(
    one: Experiment, tmp_path: Path
) -> None:
    has_run(one, tmp_path)
    expectation.store(one, Layout(tmp_path))
    assert expectation.stored(one, Layout(tmp_path)) is None
    row = shown(one, tmp_path)
    assert row["what"] == "expected by plan: not stored at the start"
    assert (row["training"], row["total"]) == ("—", "—")


def test_an_estimate_of_another_configuration_does_not_count(
    one: Experiment, tmp_path: Path
) -> None:
    expectation.store(synthetic.experiment(seeds=[0, 1]), Layout(tmp_path))
    assert expectation.stored(one, Layout(tmp_path)) is None
