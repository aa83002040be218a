"""``bench/formulations/README.md``, followed to the letter in a copy of the project."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from bench.files import read_json
from bench.registry import discover
from tests.checkouts import ROOT, copy_checkout
from tests.sharing import once

PAGE = ROOT / "bench" / "formulations" / "README.md"
FILE = re.compile(r"^`([\w./]+)`\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PYTHON = {".venv/bin/python": [sys.executable], "make": [sys.executable, "workflow/launch.py"]}
"""The page's first words of a command, as they are called in a copy without an environment."""


def arguments(line: str) -> list[str]:
    """A command of the page as it runs in a copy: with this environment's Python."""
    first, *rest = shlex.split(line)
    if first == "make":
        target, config = rest
        assert target == "bench"
        rest = [config.removeprefix("CONFIG=")]
    return [*PYTHON[first], *rest]


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which everything on the page has been done."""
    return once(tmp_path_factory, "followed", follow)


def follow(checkout: Path) -> None:
    copy_checkout(checkout, "tests")
    text = PAGE.read_text()
    files = FILE.findall(text)
    assert len(files) == 3
    for name, content in files:
        assert not (checkout / name).exists(), name
        (checkout / name).write_text(content)
    commands = [line for block in COMMANDS.findall(text) for line in block.splitlines()]
    assert len(commands) == 3
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    for line in commands:
        done = subprocess.run(
            arguments(line), cwd=checkout, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def test_the_new_formulation_is_in_the_tables(followed: Path) -> None:
    results = followed / "results" / "min_snr"
    assert read_json(results / "gate.json")["notes"] == []
    table = (results / "tables" / "summary.md").read_text()
    assert "Min-SNR diffusion" in table
    assert "Gamma 1" in table
    methods = (results / "tables" / "methods.md").read_text()
    assert "min_snr(gamma=5.0)" in methods
    rows = pd.read_parquet(results / "records.parquet")
    mine = rows[(rows["label"] == "min_snr_diffusion") & (rows["metric"] == "w2")]
    assert len(mine) > 0
    assert (mine["status"] == "ok").all()


def test_the_folder_of_formulations_was_not_touched() -> None:
    assert "min_snr_diffusion" not in discover("formulations")
