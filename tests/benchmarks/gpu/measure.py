"""What a part of the kit finds: one file, whole at every instant, that a later run goes on from.

A part opens its :class:`Findings`, measures one subject after the other, the most valuable first,
and writes each as soon as it has it. A run that was cut off leaves what it had; the next one on a
card of the same name, with the same torch and the same commit, skips what is there
(:meth:`Findings.has`). Figures of two cards, or of two commits, never share a file: a run on
another one starts anew.

Knows no torch until a device's environment is asked for, so that files can be read without it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shlex
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, Self

from bench.files import write_json

if TYPE_CHECKING:
    import torch

COMMIT_VARIABLE = "GENPATH_KIT_COMMIT"
"""Names the commit where the tree came without its history."""

SAME = ("card", "torch", "commit")
"""What two runs must have in common for the later one to go on from the earlier."""

ENVIRONMENT = (
    *("card", "driver", "capability", "torch", "cuda"),
    *("python", "cpu", "cores", "commit", "command", "started"),
)


@dataclass(frozen=True)
class Measurement:
    """One figure.

    Attributes:
        part: script that found it.
        subject: what was measured, such as ``solver/euler``; a later run skips whole subjects.
        quantity: which figure of the subject, in words.
        value: the figure, finite.
        low, high: its quartiles; where a check has a bound, ``high`` is the bound. Or None.
        unit: of value, low and high; ``1`` for shares and ratios.
        note: what a reader must know beside it, or nothing.

    Raises:
        ValueError: a figure that is not finite; that is a failure and no figure.
    """

    part: str
    subject: str
    quantity: str
    value: float
    low: float | None
    high: float | None
    unit: str
    note: str = ""

    def __post_init__(self) -> None:
        for name in ("part", "subject", "quantity", "unit", "note"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} of a measurement is text, not {getattr(self, name)!r}")
        for name in ("value", "low", "high"):
            number = getattr(self, name)
            if number is None and name != "value":
                continue
            if isinstance(number, bool) or not isinstance(number, int | float):
                raise ValueError(f"{name} of {self.subject!r} is a number, not {number!r}")
            if not math.isfinite(number):
                raise ValueError(f"{name} of {self.subject!r} is not finite: {number}")


@dataclass
class Findings:
    """What one part has found so far; every change is on disk before the call returns.

    Args:
        path: its file.
        part: its script.
        environment: what :func:`environment_of` says.
        measurements, failures: those of an earlier run that still stand.
        complete: whether the part has nothing left to measure.
    """

    path: Path
    part: str
    environment: dict[str, Any]
    measurements: list[Measurement]
    failures: list[dict[str, str]]
    complete: bool = False

    def __post_init__(self) -> None:
        self._touched: set[str] = set()
        self._write()

    @classmethod
    def open(cls, folder: Path, part: str, device: torch.device) -> Self:
        """Begin a part, or go on with it where an earlier run in the same environment stopped."""
        path, environment = Path(folder) / f"{part}.json", environment_of(device)
        try:
            known = read(path)
        except (OSError, ValueError):
            return cls(path, part, environment, [], [])
        if any(known["environment"][name] != environment[name] for name in SAME):
            return cls(path, part, environment, [], [])
        found = [Measurement(**row) for row in known["measurements"]]
        return cls(path, part, environment, found, list(known["failures"]))

    def has(self, subject: str) -> bool:
        """Whether a subject has been measured and nothing about it failed."""
        failed = any(row["subject"] == subject for row in self.failures)
        return not failed and any(row.subject == subject for row in self.measurements)

    def add(self, *found: Measurement) -> None:
        """Keep what was measured; a subject's figures in one call are kept together or not at all.

        Raises:
            ValueError: a figure of another part.
        """
        for row in found:
            if row.part != self.part:
                raise ValueError(f"{row.subject!r} is of part {row.part!r}, not {self.part!r}")
            self._touch(row.subject)
        self.measurements.extend(found)
        self._write()

    def failed(self, subject: str, error: BaseException | str) -> None:
        """Keep what went wrong with a subject, in one line."""
        self._touch(subject)
        text = error
        if isinstance(error, BaseException):
            lines = str(error).strip().splitlines() or [""]
            text = f"{type(error).__name__}: {lines[0]}"
        self.failures.append({"subject": subject, "error": str(text)})
        self._write()

    def close(self) -> None:
        """Mark the part as complete."""
        self.complete = True
        self._write()

    def _touch(self, subject: str) -> None:
        """Forget what an earlier run said about a subject that this run measures anew."""
        if subject not in self._touched:
            self._touched.add(subject)
            self.measurements = [row for row in self.measurements if row.subject != subject]
            self.failures = [row for row in self.failures if row["subject"] != subject]

    def _write(self) -> None:
        contents = {
            "part": self.part,
            "environment": self.environment,
            "complete": self.complete,
            "measurements": [asdict(row) for row in self.measurements],
            "failures": self.failures,
        }
        write_json(self.path, contents)

    def print(self) -> None:
        """A table of all that is known, for whoever reads the log."""
        print(table(self.measurements))
        for failure in self.failures:
            print(f"FAILED {failure['subject']}: {failure['error']}")
        state = "complete" if self.complete else "not complete"
        print(
            f"{self.part}: {len(self.measurements)} measurements, "
            f"{len(self.failures)} failures, {state}",
            flush=True,
        )


def read(path: Path) -> dict[str, Any]:
    """A part's file as it stands, validated.

    Raises:
        ValueError: what is wrong with it, and where.
        FileNotFoundError: there is none.
    """
    path = Path(path)
    try:
        known = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except ValueError as error:
        raise ValueError(f"{path.name} is not JSON: {error}") from None
    _fields(known, ("part", "environment", "complete", "measurements", "failures"), path.name)
    if known["part"] != path.stem:
        raise ValueError(f"{path.name} holds the part {known['part']!r}")
    if not isinstance(known["complete"], bool):
        raise ValueError(f"{path.name}: complete is {known['complete']!r}")
    _fields(known["environment"], ENVIRONMENT, f"{path.name}: environment")
    for name in ("measurements", "failures"):
        if not isinstance(known[name], list):
            raise ValueError(f"{path.name}: {name} is no list")
    names = tuple(field.name for field in fields(Measurement))
    for index, row in enumerate(known["measurements"]):
        where = f"{path.name}: measurement {index}"
        _fields(row, names, where)
        try:
            found = Measurement(**row)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        if found.part != known["part"]:
            raise ValueError(f"{where} is of the part {found.part!r}")
    for index, row in enumerate(known["failures"]):
        _fields(row, ("subject", "error"), f"{path.name}: failure {index}")
    result: dict[str, Any] = known
    return result


def _refuse(constant: str) -> float:
    raise ValueError(f"a figure is {constant}")


def _fields(found: Any, names: Iterable[str], where: str) -> None:
    if not isinstance(found, dict):
        raise ValueError(f"{where} is no mapping")
    missing, unknown = sorted(set(names) - set(found)), sorted(set(found) - set(names))
    if missing:
        raise ValueError(f"{where} lacks {', '.join(missing)}")
    if unknown:
        raise ValueError(f"{where} has the unknown {', '.join(unknown)}")


# --- time -----------------------------------------------------------------------------------------


class Deadline:
    """When a part must have ended.

    The CPU seconds that the process had taken before count as spent: importing torch is a part's
    first piece of work.

    Args:
        seconds: of the whole process.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() - time.process_time() + seconds

    def left(self) -> float:
        """Seconds that are left, negative once they are over."""
        return self._end - time.monotonic()

    def passed(self) -> bool:
        """Whether no time is left."""
        return self.left() <= 0


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile; of few values those between the extremes."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, _, high = quantiles(values, n=4, method="inclusive")
    return low, median(values), high


# --- one group of figures after the other ---------------------------------------------------------


@dataclass(frozen=True)
class Group:
    """Figures that are measured together.

    Attributes:
        subjects: what they are about; the group is left out where all are known.
        seconds: what it is expected to take, with room; it is not begun with less left.
        measure: takes the figures.
    """

    subjects: tuple[str, ...]
    seconds: float
    measure: Callable[[], Sequence[Measurement]]


def measure_all(
    findings: Findings, deadline: Deadline, groups: Iterable[Group], *, checks: bool = False
) -> int:
    """Measure what is not known yet as far as the time goes; prints a table and closes the file.

    What goes wrong is kept as a failure, and the next group is measured.

    Args:
        findings: takes the figures.
        deadline: no group is begun that would outlast it.
        groups: the most valuable first.
        checks: figures that have an upper bound and no lower one are errors: one beyond its bound
            is a failure.

    Returns:
        The exit status: 1 where anything has failed.
    """
    skipped = 0
    for group in groups:
        if all(map(findings.has, group.subjects)):
            continue
        if deadline.left() < group.seconds:
            skipped += 1
            continue
        begun = time.monotonic()
        try:
            found = group.measure()
            findings.add(*found)
            for m in found:
                if checks and m.low is None and m.high is not None and m.value > m.high:
                    findings.failed(m.subject, f"{m.quantity}: {m.value:.3g}, above {m.high:.3g}")
        except Exception as error:
            traceback.print_exc()
            for subject in group.subjects:
                findings.failed(subject, error)
        print(f"{', '.join(group.subjects)}: {time.monotonic() - begun:.1f} s", flush=True)
    if skipped:
        print(f"no time for {skipped} groups: a second run goes on with them")
    else:
        findings.close()
    findings.print()
    return 1 if findings.failures else 0


# --- where it was measured ------------------------------------------------------------------------


def environment_of(device: torch.device) -> dict[str, Any]:
    """What figures depend on beside the code: card, driver, versions, processor, commit, command.

    Without a GPU the card, its driver and its capability are None.
    """
    import torch

    card = capability = driver = None
    if device.type == "cuda":
        card = torch.cuda.get_device_name(device)
        capability = ".".join(map(str, torch.cuda.get_device_capability(device)))
        driver = _said("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    return {
        "card": card,
        "driver": driver,
        "capability": capability,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        "cpu": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "commit": os.environ.get(COMMIT_VARIABLE) or _said("git", "rev-parse", "HEAD"),
        "command": command(sys.argv),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def command(arguments: Sequence[str]) -> str:
    """A command line as a reader can repeat it: where its folders lay on that machine is left out.

    Args:
        arguments: script and options.
    """
    return shlex.join(
        ["python", *(Path(a).name if Path(a).is_absolute() else a for a in arguments)]
    )


def _said(*words: str) -> str | None:
    """First line of what a command says, or None where it cannot be run."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    lines = done.stdout.strip().splitlines()
    return lines[0].strip() if lines else None


def _processor() -> str:
    """Name of the processor."""
    try:
        known = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        known = []
    names = (line.partition(":")[2].strip() for line in known if line.startswith("model name"))
    return next(names, platform.machine())


# --- a part's command line ------------------------------------------------------------------------


def arguments(description: str | None) -> argparse.Namespace:
    """The command line that all parts share: ``--out FOLDER --seconds N [--tiny]``.

    Args:
        description: docstring of the part, whose first line is shown.
    """
    first = (description or "").partition("\n")[0]
    parser = argparse.ArgumentParser(description=first)
    parser.add_argument("--out", type=Path, required=True, help="folder of the part's file")
    parser.add_argument("--seconds", type=float, required=True, help="the part ends before these")
    parser.add_argument("--tiny", action="store_true", help="the same code at tiny sizes")
    return parser.parse_args()


def table(rows: Iterable[Measurement | Mapping[str, Any]]) -> str:
    """Measurements as lines of text, aligned."""
    lines = []
    for row in rows:
        m = row if isinstance(row, Measurement) else Measurement(**row)
        spread = "" if m.low is None or m.high is None else f"({m.low:.4g} to {m.high:.4g})"
        if m.low is None and m.high is not None:
            spread = f"(at most {m.high:.4g})"
        lines.append((m.subject, m.quantity, f"{m.value:.4g}", m.unit, spread, m.note))
    if not lines:
        return "nothing measured"
    numbers = (2,)  # columns that are aligned on the right
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            text.rjust(width) if i in numbers else text.ljust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
