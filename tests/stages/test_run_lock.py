"""A run's lock is gone with the run, however it ended, and its jobs end with it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.stages.running import run_lock

ROOT = Path(__file__).parents[2]
RUN = """
import subprocess, sys, time
from pathlib import Path
from bench.stages.running import run_lock
assert run_lock.hold(Path(sys.argv[1]))
subprocess.Popen([sys.executable, "-c", sys.argv[2]])
time.sleep(100)
"""
JOB = """
import time
from bench.stages.running import run_lock
run_lock.end_with_run()
try:
    print("watching", flush=True)
    time.sleep(100)
except KeyboardInterrupt:
    print("unwound", flush=True)
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "alive"


@pytest.fixture
def run(lock: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock and has started a job."""
    monkeypatch.delenv(run_lock.VARIABLE, raising=False)
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(lock), JOB], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "watching\n"
    yield process
    process.kill()
    process.wait()


def test_nobody_holds_a_lock_that_was_never_taken(lock: Path) -> None:
    assert not run_lock.is_held(lock, patience=0)


def test_a_lock_is_held_while_its_run_lives(
    lock: Path, run: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    start = time.monotonic()
    assert run_lock.is_held(lock, patience=0.5)
    assert time.monotonic() - start >= 0.5
    assert not run_lock.hold(lock), "a second run is refused"


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_lock_and_the_jobs_go_with_the_run(
    lock: Path, run: subprocess.Popen[str], ending: signal.Signals
) -> None:
    run.send_signal(ending)
    assert run.stdout is not None
    assert run.stdout.readline() == "unwound\n", "the job is interrupted, not killed"
    assert not run_lock.is_held(lock, patience=10)


def test_a_verb_by_hand_is_not_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(run_lock.VARIABLE, raising=False)
    assert (
        subprocess.run([sys.executable, "-c", JOB.replace("100", "0.1")], cwd=ROOT).returncode == 0
    )


def test_a_run_on_another_machine_is_left_to_its_scheduler(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locks need not reach over machines: one that can be taken proves nothing there."""
    monkeypatch.setenv(run_lock.VARIABLE, f"another-machine {lock}")
    done = subprocess.run(
        [sys.executable, "-c", JOB.replace("100", "0.5")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout == "watching\n"
