"""The pages of the wings, followed to the letter: every part that they add meets its contract.

All pages are followed in one copy of the project, and all of their commands, which run contract
tests of one part each, are run at once: the union of their files, the union of their names.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests import pages
from tests.checkouts import ROOT, copy_checkout
from tests.sharing import once

ADDED = {
    "bench/models": {"squared": 8, "difference": 8, "plain_mlp": 8},
    "bench/training": {"by_norm": 5, "power": 5, "p2": 2, "robust_flow": 3},
    "bench/sampling": {"exponential_heun": 8, "chebyshev_t": 5},
    "bench/metrics": {"covariance_gap": 3, "patches": 3},
    "bench/data": {"checkerboard": 8},
    "bench/report": {"what_was_measured": 1, "how_many_rows": 1},
}
"""The parts that each page adds, and the fewest contract tests that must have met each."""

RESULTS = "results.xml"
PYTEST = [".venv/bin/python", "-m", "pytest"]


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with all parts added, and the results of their contract tests."""
    return once(tmp_path_factory, "parts", follow)


def follow(checkout: Path) -> None:
    copy_checkout(checkout, "tests")
    files, names = [], []
    for folder in ADDED:
        page = ROOT / folder / "README.md"
        assert pages.write(page, checkout)
        for line in pages.commands(page):
            words = line.split(" -k ")[0].split()
            assert words[:3] == PYTEST, line
            files += words[3:]
            names.append(pages.arguments(line)[-1])
    command = [sys.executable, "-m", "pytest", *dict.fromkeys(files)]
    command += ["-k", " or ".join(names), "-q", "-p", "no:cacheprovider", f"--junitxml={RESULTS}"]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    environment = {k: v for k, v in environment.items() if not k.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    (checkout / "output.txt").write_text(done.stdout + done.stderr)
    assert (checkout / RESULTS).exists(), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("part", "fewest"), [item for added in ADDED.values() for item in added.items()]
)
def test_the_part_of_a_page_meets_its_contract(followed: Path, part: str, fewest: int) -> None:
    cases = ElementTree.parse(followed / RESULTS).getroot().iter("testcase")
    met = {case.get("name", ""): [child.tag for child in case] for case in cases}
    of_the_part = {name: tags for name, tags in met.items() if part in name}
    assert len(of_the_part) >= fewest
    failed = [name for name, tags in of_the_part.items() if tags]
    assert not failed, (followed / "output.txt").read_text()


def test_every_part_of_the_pages_is_tried(followed: Path) -> None:
    """A command for each part, and a name of each part in the command that tries it."""
    for folder, added in ADDED.items():
        lines = pages.commands(ROOT / folder / "README.md")
        tried = " ".join(pages.arguments(line)[-1] for line in lines).split()
        assert {word for word in tried if word not in ("or", "those_that_exist")} == set(added)


def test_the_folders_of_the_project_were_not_touched() -> None:
    assert not (ROOT / "bench" / "models" / "paths" / "squared.py").exists()
    assert "exponential_heun" not in (
        ROOT / "bench" / "sampling" / "solvers" / "catalogue.py"
    ).read_text(encoding="utf-8")
