"""Outcomes: failures are recorded, finished work is kept, each core-second is charged once."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.errors import InputError
from bench.evidence.version import running
from bench.files import read_json, write_json
from bench.stages.running.outcome import failures, read_outcome, run_guarded
from bench.stages.running.seconds import Seconds


class Counted:
    """Work that writes one file and counts how often it ran."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.runs = folder, 0

    def __call__(self, seconds: Seconds) -> Mapping[str, Any]:
        self.runs += 1
        write_json(self.folder / "result.json", self.runs)
        return {"accuracy": 0.5}


def failing(seconds: Seconds) -> Mapping[str, Any]:
    raise RuntimeError("the loss is not finite\nsecond line")


def burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_success_is_written_with_its_files_and_extras(tmp_path: Path) -> None:
    outcome = run_guarded(tmp_path, "d1", Counted(tmp_path), files=["result.json"])
    assert outcome == read_outcome(tmp_path)
    assert (outcome["status"], outcome["error"], outcome["digest"]) == ("ok", None, "d1")
    assert outcome["accuracy"] == 0.5
    assert outcome["made_by"] == running()
    assert len(outcome["files"]["result.json"]) == 64


def test_finished_work_is_not_done_again_and_its_job_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = Counted(tmp_path)
    first = run_guarded(tmp_path, "d1", work, files=["result.json"])
    (tmp_path / "outcome.json").unlink()
    assert "kept" not in capsys.readouterr().err
    assert run_guarded(tmp_path, "d1", work, files=["result.json"]) == first
    assert capsys.readouterr().err == f"{tmp_path}: kept\n"
    assert work.runs == 1
    assert read_outcome(tmp_path) == first


def test_a_new_digest_or_a_changed_file_means_work(tmp_path: Path) -> None:
    work = Counted(tmp_path)
    run_guarded(tmp_path, "d1", work, files=["result.json"])
    run_guarded(tmp_path, "d2", work, files=["result.json"])
    assert work.runs == 2
    write_json(tmp_path / "result.json", "tampered with")
    run_guarded(tmp_path, "d2", work, files=["result.json"])
    assert work.runs == 3
    (tmp_path / "result.json").unlink()
    run_guarded(tmp_path, "d2", work, files=["result.json"])
    assert work.runs == 4


def test_a_failure_is_an_outcome(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = run_guarded(tmp_path, "d1", failing)
    assert outcome["status"] == "failed"
    assert outcome["error"] == "RuntimeError: the loss is not finite"
    assert read_outcome(tmp_path) == outcome
    assert "Traceback" in capsys.readouterr().err
    assert not (tmp_path / "finished.json").exists()


def test_a_file_that_was_not_left_is_a_failure(tmp_path: Path) -> None:
    outcome = run_guarded(tmp_path, "d1", lambda seconds: {}, files=["checkpoint.safetensors"])
    assert outcome["status"] == "failed"
    assert "checkpoint.safetensors" in outcome["error"]


def test_a_value_that_is_not_finite_is_a_failure(tmp_path: Path) -> None:
    outcome = run_guarded(tmp_path, "d1", lambda seconds: {"accuracy": float("nan")})
    assert outcome["status"] == "failed"
    assert read_outcome(tmp_path) == outcome


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_an_interruption_leaves_no_outcome(
    tmp_path: Path, interruption: type[BaseException]
) -> None:
    def interrupted(seconds: Seconds) -> Mapping[str, Any]:
        raise interruption

    with pytest.raises(interruption):
        run_guarded(tmp_path, "d1", interrupted)
    assert read_outcome(tmp_path) is None


def test_a_failure_passes_down_under_the_name_of_its_origin(tmp_path: Path) -> None:
    teacher, student, sweep = (tmp_path / name for name in ("teacher", "distill", "sweep"))
    run_guarded(teacher, "d", failing)
    work = Counted(student)
    run_guarded(student, "d", work, upstream={"teacher": teacher})
    outcome = run_guarded(sweep, "d", work, upstream={"distill": student})
    assert work.runs == 0
    assert outcome["error"] == ("upstream teacher failed: RuntimeError: the loss is not finite")
    assert read_json(student / "outcome.json")["error"] == outcome["error"]


def test_an_upstream_stage_that_has_not_run_is_named(tmp_path: Path) -> None:
    outcome = run_guarded(tmp_path, "d", failing, upstream={"train": tmp_path / "absent"})
    assert outcome["error"].startswith("upstream train has not run")


def test_an_upstream_file_that_was_changed_is_named(tmp_path: Path) -> None:
    above, below = tmp_path / "above", tmp_path / "below"
    run_guarded(above, "d1", Counted(above), files=["result.json"])
    upstream = {"pairs_2": above}
    assert run_guarded(below, "d1", Counted(below), upstream=upstream)["status"] == "ok"
    write_json(above / "result.json", 7)
    outcome = run_guarded(below, "d2", Counted(below), upstream=upstream)
    assert outcome["status"] == "failed"
    assert "upstream pairs_2: " in outcome["error"]
    assert "not as it was written; run pairs_2 again" in outcome["error"]


def test_failures_are_counted_and_outlive_the_outcome(tmp_path: Path) -> None:
    assert failures(tmp_path) == 0
    run_guarded(tmp_path, "d", failing)
    (tmp_path / "outcome.json").unlink()
    run_guarded(tmp_path, "d", failing)
    assert failures(tmp_path) == 2
    assert read_json(tmp_path / "outcome.failed.json")["error"].startswith("RuntimeError")
    run_guarded(tmp_path, "d", Counted(tmp_path))
    assert failures(tmp_path) == 2, "a success must not look like a change to the workflow"


def test_an_incomplete_result_stands_and_is_tried_again(tmp_path: Path) -> None:
    missing: list[str | None] = ["1 of 8 cells failed", None]

    def work(seconds: Seconds) -> Mapping[str, Any]:
        return {"incomplete": missing.pop(0)}

    assert run_guarded(tmp_path, "d", work)["status"] == "ok"
    assert failures(tmp_path) == 1
    assert run_guarded(tmp_path, "d", work)["incomplete"] is None
    assert failures(tmp_path) == 1
    assert run_guarded(tmp_path, "d", work)["incomplete"] is None, "it is finished now"


def test_each_core_second_is_charged_once() -> None:
    before = time.process_time()
    Seconds()  # everything until here belongs to somebody else
    seconds = Seconds()
    with seconds("training"):
        burn(0.02)
        with seconds("sampling"):
            burn(0.05)
        burn(0.02)
    burn(0.01)
    totals = seconds.totals()
    assert totals["training"] == pytest.approx(0.04, abs=0.01)
    assert totals["sampling"] == pytest.approx(0.05, abs=0.01)
    assert totals["other"] == pytest.approx(0.01, abs=0.01)
    assert sum(totals.values()) <= time.process_time() - before + 1e-5


def test_a_stretch_without_a_block_can_be_settled() -> None:
    seconds = Seconds()
    burn(0.03)
    seconds.settle("import")
    assert seconds.totals()["import"] >= 0.03
    assert seconds.totals()["other"] < 0.01


def test_starting_up_is_charged_to_import() -> None:
    Seconds()
    burn(0.03)
    assert Seconds().totals()["import"] == pytest.approx(0.03, abs=0.01)


def test_bad_input_passes_through_and_leaves_no_outcome(tmp_path: Path) -> None:
    def refusing(seconds: Seconds) -> Mapping[str, Any]:
        raise InputError("data set 'images': nowhere is no folder")

    with pytest.raises(InputError, match="nowhere"):
        run_guarded(tmp_path, "d1", refusing)
    assert not list(tmp_path.iterdir())


def test_work_that_is_kept_names_the_code_that_did_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = {"version": "0.1", "commit": "abc", "dirty": False}
    with monkeypatch.context() as patch:
        patch.setattr("bench.stages.running.outcome.running", lambda: earlier)
        run_guarded(tmp_path, "d1", Counted(tmp_path), files=["result.json"])
    kept = run_guarded(tmp_path, "d1", Counted(tmp_path), files=["result.json"])
    assert kept["made_by"] == earlier != running()
    done = run_guarded(tmp_path, "d2", Counted(tmp_path), files=["result.json"])
    assert done["made_by"] == running()
