"""The published results are of this code and these configurations."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench.evidence import ledgers
from bench.experiment import digests
from bench.experiment.layout import Layout
from bench.experiment.loading import load
from bench.files import read_json
from bench.report.study import Study
from bench.report.tables import build
from bench.stages import verify

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED = ROOT / "results" / "reference"
CURRENT = ("default", "few_images", "fashion_small")
"""Of this code and its configurations; the others are of an earlier version, which they name."""

TRAINED = (*CURRENT, "claims", "marginal")
"""Whose models this code trains, those of earlier configurations among them."""

REFERENCES = {name: PUBLISHED / name for name in (*TRAINED, "formulations")}
LEDGERS = {
    f"{name}/{place}": ledger
    for name in TRAINED
    for place, ledger in ledgers.of_run(Layout(REFERENCES[name])).items()
}

published = pytest.mark.parametrize("name", REFERENCES)


@published
def test_every_model_of_the_experiment_is_there(name: str) -> None:
    experiment = load(REFERENCES[name] / "config.yaml")
    expected = len(experiment.datasets) * len(experiment.seeds)
    expected *= sum(len(experiment.formulation(label).stages) for label in experiment.labels)
    assert len(ledgers.of_run(Layout(REFERENCES[name]))) == expected


def test_what_is_published_is_light() -> None:
    files = [path for path in PUBLISHED.rglob("*") if path.is_file()]
    assert len(files) <= 300
    assert sum(path.stat().st_size for path in files) <= 20e6
    assert (REFERENCES["default"] / "report.html").stat().st_size <= 1.2e6


def test_a_clone_is_light() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    files = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    assert sum(path.stat().st_size for path in files if path.is_file()) <= 30e6


def test_the_readme_leads_to_what_is_published() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text())
    assert "results/reference/README.md" in links


@pytest.mark.parametrize("name", [*CURRENT, "formulations"])
def test_the_published_configuration_is_the_shipped_one(name: str) -> None:
    assert load(REFERENCES[name] / "config.yaml") == load(ROOT / "configs" / f"{name}.yaml")


@pytest.mark.parametrize(("place", "ledger"), LEDGERS.items(), ids=list(LEDGERS))
def test_the_published_models_were_trained_by_this_code(place: str, ledger: dict[str, Any]) -> None:
    """Where this fails, results have changed: run the experiment, publish, add to CHANGELOG.

    A digest covers the versions of numeric packages too: those of constraints.txt. Models of 0.6.0
    have digests of another kind; ``workflow/translate.py`` has said which they are now.
    """
    experiment = load(REFERENCES[place.partition("/")[0]] / "config.yaml")
    digest = digests.stage_digest(
        experiment, ledger["dataset"], ledger["label"], ledger["stage"], ledger["seed"]
    )
    translation = REFERENCES[place.partition("/")[0]] / "digests.json"
    known = read_json(translation) if translation.is_file() else {}
    assert known.get(ledger["digest"], ledger["digest"]) == digest


@published
def test_the_published_records_hold(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    verify.run(REFERENCES[name])
    assert "as claimed" in capsys.readouterr().err


def test_the_page_of_results_shows_the_tables_of_the_records() -> None:
    """The default run's, as ``join`` would write it; ``workflow/pages.py`` writes the page."""
    table = build(Study.read(REFERENCES["default"]), "summary").files()["md"]
    rows = [line for line in table.splitlines() if line.startswith("| ") and "---" not in line]
    shown = (PUBLISHED / "README.md").read_text().splitlines()
    assert len(rows) > 10
    assert [line for line in shown if line in set(rows)][: len(rows)] == rows


def test_what_is_written_by_hand_holds_no_number_and_no_verdict() -> None:
    by_hand = re.sub(
        r"<!-- (\w+):begin -->.*?<!-- \1:end -->", "", (PUBLISHED / "README.md").read_text(),
        flags=re.DOTALL,
    )  # fmt: skip
    assert re.findall(r"\d", by_hand) == []
    assert re.findall(r"supported|refuted|best|wins|leads", by_hand) == []
