"""The page of published runs: made from whatever lies in the folder, and from nothing else."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from bench.evidence.version import running
from bench.report import published
from bench.report.published.run import joined


def publish(source: Path, target: Path, **changes: object) -> Path:
    """A light copy of a run; keys of its manifest changed."""
    target.mkdir(parents=True)
    for name in ("records.parquet", "config.yaml"):
        shutil.copyfile(source / name, target / name)
    manifest = json.loads((source / "manifest.json").read_text()) | changes
    (target / "manifest.json").write_text(json.dumps(manifest))
    return target


def renamed(source: Path, target: Path, name: str, **changes: object) -> Path:
    """The same as a run of another name."""
    manifest = json.loads((source / "manifest.json").read_text())
    config = manifest["config"] | {"name": name}
    publish(source, target, experiment=name, config=config, **changes)
    table = pd.read_parquet(target / "records.parquet").assign(experiment=name)
    table.to_parquet(target / "records.parquet")
    return target


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    root = tmp_path / "reference"
    renamed(finished, root / "default", "default")
    renamed(finished, root / "later", "later")
    old = {"version": "0.0.1", "commit": None, "dirty": None}
    renamed(finished, root / "aged", "aged", made_by=[old | {"stages": "all"}], collected_by=old)
    (root / "power").mkdir()
    return root


def test_every_run_has_a_row_and_a_section(folder: Path) -> None:
    runs = published.read_runs(folder)
    assert [run.name for run in runs] == ["default", "aged", "later"]
    rows = published.overview(runs, lambda name: f"why {name}").splitlines()[2:]
    assert [row.split(" | ")[1] for row in rows] == ["why default", "why aged", "why later"]
    assert "2-D mixture, 1 evaluation: " in rows[0]
    headings = re.findall(r"^## (.+)$", published.sections(runs), re.MULTILINE)
    assert headings == ["default", "aged", "later"]


def test_a_run_says_by_which_version_it_was_made(folder: Path) -> None:
    sections = published.sections(published.read_runs(folder)).split("\n## ")
    (aged,) = [section for section in sections if section.startswith("aged")]
    assert "Made by version 0.0.1, collected on 20" in aged
    assert f"sentences by the rules of {running()['version']}" in aged
    assert f"Made by version {running()['version']}" in sections[-1]
    assert "An other version" not in sections[-1]


def test_claims_are_judged_once_and_by_runs_of_one_version(folder: Path) -> None:
    runs = published.read_runs(folder)
    assert [run.name for run in joined(runs)] == ["default", "later"]
    text = published.verdicts(runs)
    assert "(default, all-in" in text
    assert "(later, all-in" not in text and "aged" not in text
    questions = re.findall(r"^\*\*(\w+)\. ", text, re.MULTILINE)
    assert len(questions) == len(set(questions)) > 5


def test_a_run_on_other_data_is_not_joined(folder: Path, finished: Path) -> None:
    manifest = json.loads((folder / "later" / "manifest.json").read_text())
    manifest["config"]["datasets"]["mixture2d"]["options"]["modes"] = 6
    (folder / "later" / "manifest.json").write_text(json.dumps(manifest))
    assert [run.name for run in joined(published.read_runs(folder))] == ["default"]


def test_the_page_follows_the_records(folder: Path) -> None:
    before = published.results(published.read_runs(folder))
    table = pd.read_parquet(folder / "default" / "records.parquet")
    halved = table["label"].eq("vp_diffusion") & table["metric"].isin(["w2", "fd_digits"])
    table.assign(value=table["value"].mask(halved.fillna(False), table["value"] / 50)).to_parquet(
        folder / "default" / "records.parquet"
    )
    after = published.results(published.read_runs(folder))
    assert "At 64 evaluations VP diffusion" not in before
    assert after.count("At 64 evaluations VP diffusion") == 2


def test_the_front_page_has_a_table_and_a_few_sentences(folder: Path) -> None:
    lines = published.results(published.read_runs(folder)).splitlines()
    assert sum(line.startswith("| ") for line in lines) == 2 + 2 * 6
    assert 4 <= sum(line.startswith("* ") for line in lines) <= 6


def test_without_a_default_run_the_front_page_says_so(folder: Path) -> None:
    shutil.rmtree(folder / "default")
    assert published.results(published.read_runs(folder)) == "No default run is published."


def test_failures_are_told(broken: Path, tmp_path: Path) -> None:
    publish(broken, tmp_path / "reference" / "broken")
    text = published.sections(published.read_runs(tmp_path / "reference"))
    assert "* Failed: OT flow matching on Digits 8x8, seeds 0, 1, 2: ValueError: planted" in text


def test_nothing_published_is_a_page_too(tmp_path: Path) -> None:
    runs = published.read_runs(tmp_path)
    assert published.verdicts(runs) == "No run that compares formulations is published."
    assert published.sections(runs) == ""
