"""What all stages share: failures are outcomes, finished work is never done twice.

A stage writes ``outcome.json`` when it ends, whether it succeeded or not, and its process exits 0:
dependants then report the failure instead of being blocked by it. Snakemake deletes declared
outputs before it runs a job again, so a copy of a successful outcome, ``finished.json``, stays
beside the stage's files. Where its digest is the current one and the files are untouched, the
stage only writes ``outcome.json`` again. An outcome says by which version and commit its stage was
made; that is no part of its digest.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.errors import InputError
from bench.evidence.version import running
from bench.experiment.layout import FAILED_OUTCOME, FINISHED, MADE_BY, OUTCOME
from bench.files import read_json, sha256, write_json
from bench.registry import aside
from bench.stages.running.seconds import Seconds

Outcome = dict[str, Any]


INCOMPLETE = "incomplete"


_LONGEST_ERROR = 800


class UpstreamError(Exception):
    """A stage cannot run because one it reads has failed."""


Work = Callable[[Seconds], Mapping[str, Any]]


@aside("what an outcome says of a result is not the result")
def run_guarded(
    folder: Path,
    digest: str,
    work: Work,
    *,
    files: Sequence[str] = (),
    upstream: Mapping[str, Path] | None = None,
) -> Outcome:
    """Do the work of a stage unless it is done, and write its outcome.

    An exception of ``work`` becomes the outcome ``failed``, with its traceback on stderr; bad input
    and an interruption pass through and leave no outcome.

    Args:
        folder: where the stage keeps its files.
        digest: digest of everything the result depends on.
        work: does it, charging its core-seconds; returns extra entries of the outcome. An entry
            ``incomplete`` says what is missing of a result that stands: the next run completes it.
        files: names, below ``folder``, of the files the work leaves; hashed into the outcome.
        upstream: folders of the stages that are read, by name; one that failed, or whose files
            are no longer those it wrote, fails this one.

    Returns:
        The outcome, as written.

    Raises:
        InputError: what ``work`` was given is wrong; no other stage could go on from there.
    """
    outcome = _finished(folder, digest)
    if outcome is not None:
        print(f"{folder}: kept", file=sys.stderr)
    else:
        outcome = _attempt(folder, digest, work, files, upstream or {})
    if outcome["status"] == "failed" or outcome.get(INCOMPLETE):
        write_json(folder / FAILED_OUTCOME, {**outcome, "failures": failures(folder) + 1})
    write_json(folder / OUTCOME, outcome)
    return outcome


def _attempt(
    folder: Path, digest: str, work: Work, files: Sequence[str], upstream: Mapping[str, Path]
) -> Outcome:
    made_by = running()  # before the work: its code is the one that is there now
    seconds, start = Seconds(), time.perf_counter()

    def outcome(error: str | None, hashes: Mapping[str, str], extra: Mapping[str, Any]) -> Outcome:
        return {
            "status": "ok" if error is None else "failed",
            "error": error,
            "digest": digest,
            "files": dict(hashes),
            MADE_BY: made_by,
            "seconds": seconds.totals(),
            "wall_seconds": round(time.perf_counter() - start, 6),
            **extra,
        }

    try:
        for name, source in upstream.items():
            require(name, source)
        extra = work(seconds)
        finished = outcome(None, {name: sha256(folder / name) for name in files}, extra)
        if not finished.get(INCOMPLETE):
            write_json(folder / FINISHED, finished)
        return finished
    except InputError:
        raise
    except UpstreamError as error:
        return outcome(str(error), {}, {})
    except Exception as error:
        traceback.print_exc()
        return outcome(_one_line(error), {}, {})


def _finished(folder: Path, digest: str) -> Outcome | None:
    """The outcome of this very work, if it was done before and its files are untouched."""
    outcome = _read(folder / FINISHED)
    if outcome is None or outcome["digest"] != digest or _touched(folder, outcome):
        return None
    return outcome


def _touched(folder: Path, outcome: Outcome) -> Path | None:
    """A file of a finished stage that is not as the stage left it, or None."""
    for name, expected in outcome.get("files", {}).items():
        path = folder / name
        if not path.is_file() or sha256(path) != expected:
            return path
    return None


@aside("what an outcome says of a result is not the result")
def require(name: str, folder: Path) -> None:
    """See that a stage is done and its files are as it left them.

    Raises:
        UpstreamError: it has not run, has failed, or a file was touched.
    """
    outcome = read_outcome(folder)
    if outcome is None:
        raise UpstreamError(f"upstream {name} has not run: no {OUTCOME} in {folder}")
    if outcome["status"] == "failed":
        first = str(outcome["error"])
        chained = first.startswith("upstream ")
        raise UpstreamError(first if chained else f"upstream {name} failed: {first}")
    if (path := _touched(folder, outcome)) is not None:
        raise UpstreamError(f"upstream {name}: {path} is not as it was written; run {name} again")


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return text if len(text) <= _LONGEST_ERROR else f"{text[: _LONGEST_ERROR - 3]}..."


def _read(path: Path) -> Outcome | None:
    try:
        outcome: Outcome = read_json(path)
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return outcome


@aside("what an outcome says of a result is not the result")
def read_outcome(folder: Path) -> Outcome | None:
    """The outcome of the stage in ``folder``, or None where it has not ended yet."""
    return _read(folder / OUTCOME)


def failures(folder: Path) -> int:
    """How often the stage in ``folder`` has failed or was incomplete; it never falls.

    The workflow passes it to the job as a parameter: a failed job thereby counts as changed, and
    the next run tries it again.
    """
    outcome = _read(folder / FAILED_OUTCOME)
    return 0 if outcome is None else int(outcome["failures"])
