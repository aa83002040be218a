"""Arrays of a cell reach their file as they were, also slices and broadcasts."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from bench.stages.running.journal import Entry, Journal
from bench.stages.running.seconds import Seconds


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


def test_a_line_that_was_cut_off_is_dropped_and_the_others_are_never_at_risk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "journal.jsonl"
    for digest in ("a", "b"):
        Journal(path).add(digest, Entry([{"status": "ok", "value": 1.0}]))
    whole = path.read_bytes()
    untouched = path.stat().st_ino
    assert Journal(path).find("b") is not None
    assert path.stat().st_ino == untouched, "a whole journal is not written anew"
    path.write_bytes(whole + whole[:30])

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        Journal(path)
    assert path.read_bytes() == whole + whole[:30]
    monkeypatch.undo()
    assert Journal(path).find("a") is not None
    assert path.read_bytes() == whole
    assert "line 3 is cut off" in capsys.readouterr().err


def test_work_that_goes_on_costs_what_both_processes_spent(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"

    def spend() -> Entry:
        with meter("sampling"):
            end = time.process_time() + 0.02
            while time.process_time() < end:
                pass
        return Entry([{"status": "ok", "value": 1.0}])

    meter = Seconds()
    first = Journal(path)
    entry = first.settled("a", spend, meter)
    assert entry.seconds["sampling"] == pytest.approx(0.02, abs=0.01)
    spent = meter.totals()["sampling"]
    assert first.settled("a", spend, meter) is entry
    assert meter.totals()["sampling"] == pytest.approx(spent, abs=5e-3)

    again, never = Seconds(), pytest.fail
    second = Journal(path)
    for _ in range(2):
        found = second.settled("a", lambda: never("it was measured before"), again)
        assert found.rows == entry.rows
    assert again.totals()["sampling"] == entry.seconds["sampling"]
