"""A run says which code made it: the version and commit that ran, and whether files differed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import bench
from bench.evidence import version
from bench.evidence.manifest import versions


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    (root / "bench").mkdir(parents=True)
    (root / "bench" / "__init__.py").write_text("")
    git(tmp_path, "init", "-q", str(root))
    git(root, "add", ".")
    git(root, "commit", "-qm", "One")
    return root


def test_a_clean_checkout_is_its_commit(checkout: Path) -> None:
    (checkout / "notes.txt").write_text("beside the package")
    commit = git(checkout, "rev-parse", "HEAD")
    assert version.committed(checkout) == {"commit": commit, "dirty": False}


@pytest.mark.parametrize("name", ["__init__.py", "added.py"])
def test_a_file_that_differs_is_seen(checkout: Path, name: str) -> None:
    (checkout / "bench" / name).write_text("x = 1\n")
    assert version.committed(checkout)["dirty"] is True


def test_a_package_inside_of_another_repository_has_no_commit(checkout: Path) -> None:
    installed = checkout / "site-packages"
    (installed / "bench").mkdir(parents=True)
    assert version.committed(installed) == {"commit": None, "dirty": None}


def test_no_git_is_no_error(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert version.committed(checkout) == {"commit": None, "dirty": None}


def test_the_version_is_that_of_the_code_and_not_of_the_installed_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bench.evidence.manifest.metadata.version", lambda name: f"another {name}")
    assert versions()["genpath-bench"] == bench.__version__ == version.running()["version"]
    assert versions()["torch"] == "another torch"
