"""What takes minutes is made once a session, by whichever process asks first."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A copy of the folder that ``make`` fills, the caller's own.

    Processes that ask for the same name wait for the first one. Copies keep times of change, which
    the workflow goes by.
    """
    base = factory.getbasetemp()
    session = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    whole, made = session / "shared" / name, session / "shared" / f"{name}.made"
    made.parent.mkdir(exist_ok=True)
    with made.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(whole, ignore_errors=True)
            whole.mkdir()
            make(whole)
            made.touch()
    copy = factory.mktemp(name) / name
    shutil.copytree(whole, copy, symlinks=True)
    return copy
