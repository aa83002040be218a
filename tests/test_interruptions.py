"""An experiment through all that goes wrong: Ctrl-C, kill -9, a failure, and then growth."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.evidence import records
from bench.files import read_json
from bench.stages.running import run_lock
from tests.checkouts import copy_checkout

STORY: dict[str, Any] = {
    "name": "story",
    "datasets": {
        "mixture2d": {
            "network": {"width": 32, "depth": 1},
            "options": {"train": 2000, "held_out": 400},
        }
    },
    "formulations": {"flow_matching": {}, "planted": {}},
    "seeds": [0],
    "budget": {"amount": {"mixture2d": 1.0e10}},
    "sweep": {
        "solvers": ["euler"],
        "nfe": [1, 4],
        "tolerances": [],
        "samples": {"scoring": 200, "selection": 200},
        "block": 200,
        "batch_size": 200,
        "reference_samples": 200,
        "reference_tolerance": 1.0e-3,
    },
    "metrics": {"kid_subset_size": 100, "floor_repeats": 4},
    "timing": {"repeats": 1},
}

BROKEN = '''"""A planted objective."""


class Broken:
    def __init__(self, **options: object) -> None:
        self.teacher = None

    def __call__(self, *arguments: object) -> None:
        raise RuntimeError("planted failure")


build = Broken
'''

REPAIRED = '''"""A planted objective, repaired."""

from bench.training.objectives.regression import Regression

build = Regression
'''

TRAINED = "results/story/runs/mixture2d/flow_matching/seed0/train/finished.json"
JOURNAL = "results/story/runs/mixture2d/flow_matching/seed0/sweep/journal.jsonl"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with one more formulation, which fails at run time."""
    folder = copy_checkout(tmp_path_factory.mktemp("story"))
    plant = (folder / "bench" / "formulations" / "methods" / "flow_matching.py").read_text()
    plant = plant.replace('objective("regression"', 'objective("planted"')
    (folder / "bench" / "formulations" / "methods" / "planted.py").write_text(plant)
    (folder / "bench" / "training" / "objectives" / "planted.py").write_text(BROKEN)
    (folder / "story.yaml").write_text(yaml.safe_dump(STORY))
    return folder


def start(checkout: Path, *options: str) -> subprocess.Popen[str]:
    """Start what ``make bench`` starts, in a process group of its own, as a terminal does."""
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    environment.pop(run_lock.VARIABLE, None)
    return subprocess.Popen(
        [sys.executable, "workflow/launch.py", "story.yaml", *options],
        cwd=checkout,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and output."""
    try:
        said, _ = process.communicate(timeout=900)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, said


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert process.poll() is None, finish(process)
        assert time.monotonic() < deadline
        time.sleep(0.05)


def children(pid: int) -> Iterator[int]:
    found = subprocess.run(
        ["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    yield from map(int, found.split())


def test_the_story(checkout: Path) -> None:
    lock = checkout / run_lock.LOCK
    results = checkout / "results" / "story"

    # Ctrl-C: the whole group is stopped, and says how to go on.
    process = start(checkout)
    wait_for((results / "data" / "mixture2d" / "outcome.json").exists, process)
    os.killpg(process.pid, signal.SIGINT)
    code, said = finish(process)
    assert code == 1
    assert "the same command goes on from here" in said
    assert not run_lock.is_held(lock, patience=0)
    prepared = (results / "data" / "mixture2d" / "finished.json").stat().st_mtime_ns

    # kill -9 of the run alone: its jobs end by themselves, its lock stays.
    process = start(checkout)
    # It may have been trained before the run above was stopped.
    wait_for(lambda: (checkout / TRAINED).exists() and any(children(process.pid)), process)
    (workflow,) = children(process.pid)
    os.kill(workflow, signal.SIGKILL)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not run_lock.is_held(lock, patience=20)
    assert list((checkout / ".snakemake" / "locks").iterdir())
    trained = (checkout / TRAINED).stat().st_mtime_ns

    # The same command goes on; the planted failure ends it with 1, after the report.
    code, said = finish(start(checkout))
    assert code == 1, said
    assert "runs/mixture2d/planted/seed0/train: RuntimeError: planted failure" in said
    assert "has not run" not in said
    assert (results / "report.html").exists()
    assert not (results / "gate.json").exists()
    table = records.read(results / "records.parquet")
    failed = table[table["status"] == "failed"]
    assert set(failed["label"]) == {"planted"}
    assert set(failed["error"]) == {"RuntimeError: planted failure"}
    scored = table[(table["metric"] == "w2") & (table["train_seed"] == 0)]
    assert set(scored["label"]) == {"flow_matching"}
    assert set(scored["nfe_requested"]) == {1, 4}
    page = (results / "report.html").read_text()
    assert "planted failure" in page
    assert (results / "data" / "mixture2d" / "finished.json").stat().st_mtime_ns == prepared
    assert (checkout / TRAINED).stat().st_mtime_ns == trained

    # Repaired, with a seed and an evaluation count more: only what is new is computed.
    before = (checkout / JOURNAL).read_text()
    (checkout / "bench" / "training" / "objectives" / "planted.py").write_text(REPAIRED)
    grown = {**STORY, "seeds": [0, 1], "sweep": {**STORY["sweep"], "nfe": [1, 4, 8]}}
    (checkout / "story.yaml").write_text(yaml.safe_dump(grown))
    code, said = finish(start(checkout))
    assert code == 0, said
    assert said.rstrip().endswith("Done. The report: results/story/report.html")
    assert read_json(results / "gate.json")["experiment"] == "story"
    assert (checkout / TRAINED).stat().st_mtime_ns == trained
    after = (checkout / JOURNAL).read_text()
    assert after.startswith(before)
    new = [json.loads(line) for line in after.removeprefix(before).splitlines()]
    assert {row["nfe_requested"] for entry in new for row in entry["rows"]} == {8}
    table = records.read(results / "records.parquet")
    assert not (table["status"] == "failed").any()
    scored = table[(table["metric"] == "w2") & table["train_seed"].notna()]
    assert set(scored["label"]) == {"flow_matching", "planted"}
    assert set(scored["train_seed"]) == {0, 1}


def test_a_failed_stage_is_tried_again_without_any_change(checkout: Path) -> None:
    """A fault of the machine leaves no trace in any digest."""
    folder = checkout / "results" / "story" / "floor" / "mixture2d"
    command = [sys.executable, "-m", "snakemake", "-n", "--configfile", "story.yaml"]

    def planned() -> str:
        done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True)
        return done.stdout + done.stderr

    assert "Nothing to be done" in planned()
    failure = {**read_json(folder / "outcome.json"), "status": "failed", "failures": 1}
    (folder / "outcome.failed.json").write_text(json.dumps(failure))
    assert "floor: real data against real data" in planned()


def test_a_second_run_in_the_same_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    folder = copy_checkout(tmp_path)
    (folder / "story.yaml").write_text(
        yaml.safe_dump({**STORY, "formulations": {"flow_matching": {}}})
    )
    script = (
        "import time; from bench.stages.running import run_lock; "
        "assert run_lock.hold(run_lock.LOCK); "
        "print('held', flush=True); time.sleep(100)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script], cwd=folder, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        code, said = finish(start(folder))
        assert code == 1
        assert "A run is in progress" in said.splitlines()[-1]
        assert not (folder / "results").exists()
    finally:
        holder.kill()
        holder.wait()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--cores", "many"], "CORES=many"),
        (["--cores", "0"], "CORES=0"),
        (["--gpus", "-1"], "GPUS=-1"),
    ],
)
def test_bad_numbers_are_refused_in_one_line(
    tmp_path: Path, options: list[str], words: str
) -> None:
    folder = copy_checkout(tmp_path)
    code, said = finish(start(folder, *options))
    assert code == 2
    (line,) = said.splitlines()
    assert words in line


def test_a_bad_config_is_refused_before_anything_runs(tmp_path: Path) -> None:
    folder = copy_checkout(tmp_path)
    (folder / "story.yaml").write_text(yaml.safe_dump({**STORY, "seed": [0]}))
    code, said = finish(start(folder))
    assert code == 2
    (line,) = said.splitlines()
    assert "story.yaml" in line
    assert "seeds" in line
    assert not (folder / "results").exists()


def test_snakemake_alone_refuses_a_bad_config_in_one_line(tmp_path: Path) -> None:
    folder = copy_checkout(tmp_path)
    (folder / "story.yaml").write_text(yaml.safe_dump({**STORY, "seed": [0]}))
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "--configfile", "story.yaml"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "seeds" in line
