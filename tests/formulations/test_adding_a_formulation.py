"""``bench/formulations/README.md``, followed to the letter in a copy of the project."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from bench.files import read_json
from bench.registry import discover
from tests import pages
from tests.checkouts import ROOT, copy_checkout
from tests.sharing import once

PAGE = ROOT / "bench" / "formulations" / "README.md"


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which everything on the page has been done."""
    return once(tmp_path_factory, "followed", follow)


def follow(checkout: Path) -> None:
    copy_checkout(checkout, "tests")
    assert len(pages.write(PAGE, checkout)) == 3
    lines = pages.commands(PAGE)
    assert len(lines) == 3
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    for line in lines:
        done = subprocess.run(
            pages.arguments(line), cwd=checkout, env=environment, capture_output=True, text=True
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
