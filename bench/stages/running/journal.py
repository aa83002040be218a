"""An append-only file of finished cells, which survives a kill at any instant."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.evidence.records import Record
from bench.files import write_text
from bench.registry import aside

Array = NDArray[Any]


@dataclass(frozen=True)
class Entry:
    """What one cell left.

    Attributes:
        rows: its records.
        arrays: the few that figures show.
        seconds: core-seconds that it took, by kind of work.
    """

    rows: list[Record]
    arrays: Mapping[str, Array] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # safetensors writes the buffer of a numpy array and ignores its strides.
        whole = {name: np.ascontiguousarray(array) for name, array in self.arrays.items()}
        object.__setattr__(self, "arrays", whole)


class Meter(Protocol):
    """Core-seconds by kind of work."""

    def totals(self) -> dict[str, float]:
        """So far."""
        ...

    def credit(self, seconds: Mapping[str, float]) -> None:
        """Add seconds that another process spent."""
        ...


@aside("what stands in it is written under the digest of a cell")
class Journal:
    """Finished cells by digest; one JSON line each, the last one of a digest counts.

    A line that cannot be read, as the last one after a kill, is dropped, and that is said.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[str, Entry] = {}
        self._credited: set[str] = set()
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        whole = [line for number, line in enumerate(lines, 1) if self._read(line, number)]
        path.parent.mkdir(parents=True, exist_ok=True)
        if len(whole) < len(lines):
            write_text(path, "".join(f"{line}\n" for line in whole))

    def _read(self, line: str, number: int) -> bool:
        """Take in a line; returns whether it can be read."""
        try:
            stored = json.loads(line)
        except json.JSONDecodeError:
            print(f"{self._path}: line {number} is cut off; measured again", file=sys.stderr)
            return False
        arrays = {name: _decode(array) for name, array in stored["arrays"].items()}
        entry = Entry(stored["rows"], arrays, stored.get("seconds", {}))
        self._entries[stored["digest"]] = entry
        return True

    def find(self, digest: str) -> Entry | None:
        """The finished cell of ``digest``; None if it is missing or failed."""
        entry = self._entries.get(digest)
        if entry is None or any(row["status"] == "failed" for row in entry.rows):
            return None
        return entry

    def settled(
        self,
        digest: str,
        measure: Callable[[], Entry],
        meter: Meter,
        since: Mapping[str, float] | None = None,
    ) -> Entry:
        """The finished cell of ``digest``, measured now if it was not before.

        Its seconds reach the meter once either way: work that goes on where another process was
        cut off has cost what both have spent.

        Args:
            digest: of the cell.
            measure: what measures it, or gives what has been measured.
            meter: counts the seconds.
            since: its totals at which the cell began; None for those of now.
        """
        entry = self.find(digest)
        if entry is None:
            before = meter.totals() if since is None else since
            measured = measure()
            spent = {kind: now - before.get(kind, 0.0) for kind, now in meter.totals().items()}
            entry = replace(measured, seconds={kind: s for kind, s in spent.items() if s > 0})
            self.add(digest, entry)
        elif digest not in self._credited:
            meter.credit(entry.seconds)
        self._credited.add(digest)
        return entry

    def add(self, digest: str, entry: Entry) -> None:
        """Append a cell and flush it to the file."""
        arrays = {name: _encode(array) for name, array in entry.arrays.items()}
        seconds = dict(entry.seconds)
        line = json.dumps(
            {"digest": digest, "rows": entry.rows, "arrays": arrays, "seconds": seconds}
        )
        with self._path.open("a") as stream:
            stream.write(line + "\n")
        self._entries[digest] = entry


def _encode(array: Array) -> dict[str, Any]:
    return {
        "dtype": str(array.dtype),
        "shape": array.shape,
        "data": base64.b64encode(np.ascontiguousarray(array).tobytes()).decode(),
    }


def _decode(stored: Mapping[str, Any]) -> Array:
    flat = np.frombuffer(base64.b64decode(stored["data"]), dtype=stored["dtype"])
    return flat.reshape(stored["shape"])
