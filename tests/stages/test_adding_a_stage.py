"""``bench/stages/README.md``, followed to the letter in a copy of the project."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from safetensors.numpy import load_file

from bench.data.files import TENSORS
from bench.experiment.graph import VERBS
from bench.experiment.layout import OUTCOME, Layout
from bench.files import read_json
from tests import pages
from tests.checkouts import ROOT, copy_checkout
from tests.sharing import once

PAGE = ROOT / "bench" / "stages" / "README.md"


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which everything on the page has been done."""
    return once(tmp_path_factory, "stage", follow)


def follow(checkout: Path) -> None:
    copy_checkout(checkout, "tests")
    assert len(pages.write(PAGE, checkout)) == 8
    lines = pages.commands(PAGE)
    assert len(lines) == 4
    for number, line in enumerate(lines):
        command = pages.arguments(line)
        if "pytest" in command:
            # What the run of the workflow leaves is asked for by a test that takes minutes.
            command[-1] = f"({command[-1]}) and not of_a_run"
        done = run(checkout, *command)
        (checkout / f"said_{number}.txt").write_text(done.stdout + done.stderr)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def run(checkout: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    environment = {k: v for k, v in environment.items() if not k.startswith("PYTEST_")}
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)


def test_the_plan_counts_it(followed: Path) -> None:
    (line,) = [
        line for line in (followed / "said_0.txt").read_text().splitlines() if "spread" in line
    ]
    assert line.split()[:2] == ["spread", "2"]


def test_its_records_are_there(followed: Path) -> None:
    layout = Layout(followed / "results" / "smoke")
    folder = layout.root / "spread" / "mixture2d"
    assert read_json(folder / OUTCOME)["status"] == "ok"
    (row,) = pd.read_parquet(folder / "spread.parquet").to_dict("records")
    samples = load_file(layout.data("mixture2d") / TENSORS)["held_out"].astype(float)
    expected = (2 * samples.var(axis=0, ddof=1).sum()) ** 0.5
    assert row["metric"] == "spread"
    assert row["value"] == pytest.approx(expected)


def test_stage_node_and_rule_were_tried(followed: Path) -> None:
    said = (followed / "said_3.txt").read_text()
    assert " passed" in said and "failed" not in said


def test_the_workflow_runs_it_after_its_data(followed: Path) -> None:
    options = ("--configfile", "configs/smoke.yaml", "--cores", "1", "--dry-run", "--nolock")
    done = run(followed, sys.executable, "-m", "snakemake", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "spread: how far apart samples of digits lie" in done.stdout + done.stderr


def test_the_package_was_not_touched() -> None:
    assert "spread" not in VERBS
