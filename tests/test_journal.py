"""Arrays of a cell reach their file as they were, also slices and broadcasts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from bench.journal import Entry, Journal


def test_strided_arrays_are_stored_by_value(tmp_path: Path) -> None:
    """A slice of trajectories and grey images repeated as three channels share their memory."""
    whole = np.arange(24.0).reshape(4, 6)
    given = {
        "slice": whole[:, :3],
        "broadcast": np.broadcast_to(np.arange(4, dtype=np.uint8)[:, None, None], (4, 3, 2)),
    }
    expected = {name: array.copy() for name, array in given.items()}
    journal = Journal(tmp_path / "journal.jsonl")
    journal.add("a", Entry([], given))
    for source in (journal, Journal(tmp_path / "journal.jsonl")):
        entry = source.find("a")
        assert entry is not None
        save_file(dict(entry.arrays), tmp_path / "arrays.safetensors")
        for name, array in load_file(tmp_path / "arrays.safetensors").items():
            np.testing.assert_array_equal(array, expected[name])
