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
PUBLISHED = ROOT / "results" / "reference"
CURRENT = ("default", "claims", "marginal", "fashion_small")
"""Of this code; the others may be of an earlier version, which CHANGELOG.md names."""

REFERENCES = {name: PUBLISHED / name for name in (*CURRENT, "formulations")}
LEDGERS = sorted(path for name in CURRENT for path in REFERENCES[name].rglob(LEDGER))

published = pytest.mark.parametrize("name", REFERENCES)


@published
def test_every_model_of_the_experiment_is_there(name: str) -> None:
    experiment = load(REFERENCES[name] / "config.yaml")
    expected = len(experiment.datasets) * len(experiment.seeds)
    expected *= sum(len(experiment.formulation(label).stages) for label in experiment.labels)
    assert len(list(REFERENCES[name].rglob(LEDGER))) == expected


@published
def test_its_report_is_there(name: str) -> None:
    assert (REFERENCES[name] / "report.html").stat().st_size < 8_000_000


@published
def test_the_published_configuration_is_the_shipped_one(name: str) -> None:
    assert load(REFERENCES[name] / "config.yaml") == load(ROOT / "configs" / f"{name}.yaml")


@pytest.mark.parametrize(
    "path", LEDGERS, ids=lambda p: "-".join(p.relative_to(PUBLISHED).parts[:-1])
)
def test_the_published_models_were_trained_by_this_code(path: Path) -> None:
    """Where this fails, results have changed: run the experiment, publish, add to CHANGELOG.

    A digest covers the versions of numeric packages too: those of constraints.txt.
    """
    name, ledger = path.relative_to(PUBLISHED).parts[0], read_json(path)
    experiment = load(REFERENCES[name] / "config.yaml")
    digest = digests.stage_digest(
        experiment, ledger["dataset"], ledger["label"], ledger["stage"], ledger["seed"]
    )
    assert ledger["digest"] == digest


@published
def test_the_published_records_hold(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    verify.run(REFERENCES[name])
    assert "as claimed" in capsys.readouterr().err


def test_the_readme_shows_the_published_table() -> None:
    table = (REFERENCES["default"] / "tables" / "summary.md").read_text()
    rows = [line for line in table.splitlines() if line.startswith("|")]
    shown = (ROOT / "README.md").read_text().splitlines()
    assert rows
    assert [line for line in shown if line in set(rows)] == rows
