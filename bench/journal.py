"""An append-only file of finished cells, which survives a kill at any instant."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.records import Record

Array = NDArray[Any]


@dataclass(frozen=True)
class Entry:
    """What one cell left: its records, and the few arrays that figures show."""

    rows: list[Record]
    arrays: Mapping[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # safetensors writes the buffer of a numpy array and ignores its strides.
        whole = {name: np.ascontiguousarray(array) for name, array in self.arrays.items()}
        object.__setattr__(self, "arrays", whole)


class Journal:
    """Finished cells by digest; one JSON line each, the last one of a digest counts.

    A line that was cut off by a kill is dropped when the file is read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[str, Entry] = {}
        whole = []
        for line in path.read_text().splitlines() if path.exists() else []:
            try:
                stored = json.loads(line)
            except json.JSONDecodeError:
                continue
            arrays = {name: _decode(array) for name, array in stored["arrays"].items()}
            self._entries[stored["digest"]] = Entry(stored["rows"], arrays)
            whole.append(line)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.write_text("".join(f"{line}\n" for line in whole))

    def find(self, digest: str) -> Entry | None:
        """The finished cell of ``digest``; None if it is missing or failed."""
        entry = self._entries.get(digest)
        if entry is None or any(row["status"] == "failed" for row in entry.rows):
            return None
        return entry

    def add(self, digest: str, entry: Entry) -> None:
        """Append a cell and flush it to the file."""
        arrays = {name: _encode(array) for name, array in entry.arrays.items()}
        line = json.dumps({"digest": digest, "rows": entry.rows, "arrays": arrays})
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
