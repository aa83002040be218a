"""Copies of the project, to be run in, edited and broken."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).parent.parent
NEEDED = ("Snakefile", "bench", "configs", "genpath_bench.py", "pyproject.toml", "workflow")


def copy_checkout(target: Path, *more: str) -> Path:
    """Copy what a run needs into ``target``, and ``more`` besides."""
    target.mkdir(parents=True, exist_ok=True)
    for name in (*NEEDED, *more):
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, target / name, ignore=ignored)
        else:
            shutil.copy2(source, target / name)
    return target
