"""Which code runs: its version, its commit, and whether its files differ from that commit."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from bench import __version__

ROOT = Path(__file__).resolve().parents[2]
"""The folder of the package ``bench``: that of the checkout, if it is one."""


@cache
def running() -> dict[str, Any]:
    """Version, commit and state of the code of this process, as it was when first asked."""
    return {"version": __version__, **committed(ROOT)}


def committed(root: Path) -> dict[str, Any]:
    """Commit of the checkout ``root``, and whether its package is ``dirty``; None where unknown.

    A file of ``bench`` that was changed, removed or added makes a tree dirty. A package that is
    installed somewhere inside of another repository has no commit.
    """
    unknown = {"commit": None, "dirty": None}
    top = _git(root, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != root.resolve():
        return unknown
    commit = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain", "--", "bench")
    if commit is None or changes is None:
        return unknown
    return {"commit": commit, "dirty": bool(changes)}


def _git(root: Path, *arguments: str) -> str | None:
    """What git says, or None where there is no git or it knows nothing."""
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
