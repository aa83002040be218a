"""The published results are of this code and these configurations."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import digests
from bench.files import read_json
from bench.layout import LEDGER
from bench.spec import load
from bench.stages import verify

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "results" / "reference" / "default"
LEDGERS = sorted(REFERENCE.rglob(LEDGER))


def test_every_model_of_the_experiment_is_there() -> None:
    experiment = load(REFERENCE / "config.yaml")
    expected = len(experiment.datasets) * len(experiment.seeds)
    expected *= sum(len(experiment.formulation(label).stages) for label in experiment.labels)
    assert len(LEDGERS) == expected


def test_the_published_configuration_is_the_shipped_one() -> None:
    assert load(REFERENCE / "config.yaml") == load(ROOT / "configs" / "default.yaml")


@pytest.mark.parametrize("path", LEDGERS, ids=lambda p: "-".join(p.parts[-5:-1]))
def test_the_published_models_were_trained_by_this_code(path: Path) -> None:
    """Where this fails, results have changed: run configs/default.yaml, publish, add to CHANGELOG.

    A digest covers the versions of numeric packages too: those of constraints.txt.
    """
    experiment, ledger = load(REFERENCE / "config.yaml"), read_json(path)
    digest = digests.stage_digest(
        experiment, ledger["dataset"], ledger["label"], ledger["stage"], ledger["seed"]
    )
    assert ledger["digest"] == digest


def test_the_published_records_hold(capsys: pytest.CaptureFixture[str]) -> None:
    verify.run(REFERENCE)
    assert "as claimed" in capsys.readouterr().err


def test_the_readme_shows_the_published_table() -> None:
    published = (REFERENCE / "tables" / "summary.md").read_text()
    rows = [line for line in published.splitlines() if line.startswith("|")]
    shown = (ROOT / "README.md").read_text().splitlines()
    assert rows
    assert [line for line in shown if line in set(rows)] == rows
