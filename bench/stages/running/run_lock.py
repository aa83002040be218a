"""One run at a time in a folder, and no job that outlives its run.

A run holds a lock on a file for as long as it lives. The kernel releases the lock however the
process dies, so a lock that can be taken proves that no run is left: unlike files that a killed
process leaves behind, and unlike process numbers, which are given out again.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import threading
import time
from io import TextIOWrapper
from pathlib import Path

LOCK = Path(".snakemake/alive")
VARIABLE = "BENCH_RUN"

_held: list[TextIOWrapper] = []


def hold(lock: Path) -> bool:
    """Take ``lock`` for the rest of this process and name it to the processes it starts.

    Returns False, changing nothing, when another process holds it.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    stream = lock.open("a")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        return False
    _held.append(stream)
    os.environ[VARIABLE] = f"{socket.gethostname()} {lock.resolve()}"
    return True


def is_held(lock: Path, patience: float) -> bool:
    """Whether a process holds ``lock`` for more than ``patience`` seconds.

    Jobs of a run that was killed end by themselves within seconds; patience outlasts them.
    """
    if not lock.exists():
        return False
    deadline = time.monotonic() + patience
    with lock.open("a") as stream:
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    return True
                time.sleep(0.2)
            else:
                return False


def end_with_run() -> None:
    """Interrupt this process when the run that started it dies; without a run, do nothing.

    A run on another machine cannot be watched from here: its scheduler ends the job.
    """
    host, _, lock = os.environ.get(VARIABLE, "").partition(" ")
    if host != socket.gethostname():
        return

    def watch() -> None:
        with open(lock, "a") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            os.kill(os.getpid(), signal.SIGINT)
            threading.Event().wait()  # keep the lock until the process has ended

    threading.Thread(target=watch, daemon=True).start()
