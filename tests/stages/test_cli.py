"""The command line: exit codes, one-line errors, and what a verb may import."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml

from bench.cli import VERBS, main, parsed
from bench.experiment.loading import load
from bench.experiment.reading import read_mapping
from tests.pages import all_pages

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / "configs" / "smoke.yaml"


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line with which a command refuses its input."""
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    return line


def edited(tmp_path: Path, old: str, new: str) -> Path:
    """``smoke.yaml`` with one edit."""
    text = SMOKE.read_text()
    assert old in text
    path = tmp_path / "edited.yaml"
    path.write_text(text.replace(old, new, 1))
    return path


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("budget:", "bugdet:", ["bugdet", "budget"]),
        ("seeds: [0, 1, 2]", "seeds: three", ["seeds", "three"]),
        ("batch_size: 256", "batch_size: -1", ["training.batch_size", "-1"]),
        ("flow_matching: {}", "flow_matchng: {}", ["flow_matchng", "flow_matching"]),
        ("sweep:", "sweep:\n  solvers: [eulr]", ["sweep.solvers", "eulr", "euler"]),
        ("datasets:", "datasets: [", ["line"]),
        (
            "flow_matching: {}",
            "flow_matching: {factors: {time_sampling: {name: logit_normal, std: -1}}}",
            ["flow_matching.factors.time_sampling.std", "-1", "need std > 0"],
        ),
    ],
    ids=["key", "type", "value", "formulation", "solver", "yaml", "part"],
)
def test_a_bad_config_is_one_line_with_file_key_value_and_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, words: list[str]
) -> None:
    path = edited(tmp_path, old, new)
    line = refused(capsys, "plan", str(path))
    assert all(word in line for word in [str(path), *words]), line


def test_a_missing_file_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "nowhere.yaml" in refused(capsys, "plan", "nowhere.yaml")


def test_data_that_are_missing_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "own.yaml"
    old = read_mapping(ROOT / "configs" / "cifar10.yaml")
    old["datasets"]["cifar10"]["options"] = {"path": "nowhere"}
    config.write_text(yaml.safe_dump(old))
    monkeypatch.chdir(tmp_path)
    line = refused(capsys, "prepare", str(config), "--dataset", "cifar10")
    assert "nowhere" in line
    assert "cifar-10-binary.tar.gz" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["prepare", "--dataset", "digts"], ["--dataset digts", "digits"]),
        (["sweep", "--dataset", "digits", "--label", "flow", "--seeds", "0"], ["--label flow"]),
        (
            ["train", "--dataset", "digits", "--label", "flow_matching", "--stage", "teacher"],
            ["--stage teacher", "flow_matching", "known: train"],
        ),
        (
            ["train", "--dataset", "digits", "--label", "rectified_flow", "--stage", "pairs_2"],
            ["--stage pairs_2", "train stage", "flow_1, flow_2"],
        ),
    ],
    ids=["dataset", "label", "stage", "kind of stage"],
)
def test_what_is_not_in_the_experiment_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: list[str]
) -> None:
    verb, *options = arguments
    seeds = [] if "--seeds" in options or verb == "prepare" else ["--seeds", "0"]
    line = refused(capsys, verb, str(SMOKE), *options, *seeds)
    assert all(word in line for word in words), line


@pytest.mark.parametrize("verb", ["verify", "publish"])
def test_a_folder_without_results_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    assert str(tmp_path) in refused(capsys, verb, str(tmp_path))


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    assert VERBS[verb].does[1:] in capsys.readouterr().out.replace("\n", " ")


@pytest.mark.parametrize(
    ("command", "verb"),
    [
        ("sweep --model hers:net --data mixture2d --path linear --label mine", "bring"),
        ("sweep --data mixture2d --model=hers:net", "bring"),
        ("collect --from results/default --to results/again", "join"),
        ("sweep smoke.yaml --dataset digits --label flow --seeds 0", "sweep"),
        ("collect smoke.yaml", "collect"),
    ],
)
def test_a_command_that_was_written_down_before_means_what_it_meant(
    command: str, verb: str
) -> None:
    given = parsed(command.split())
    assert given.verb == verb
    assert vars(given).get("called") == ("mine" if "mine" in command else None)


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        ("sweep", "config, --dataset, --label, --seeds"),
        ("sweep smoke.yaml --label flow", "--dataset, --seeds"),
        ("collect", "config"),
        ("sweep --model hers:net", "--data"),
        ("bring --data digits", "--model"),
        ("join --to results/again", "--from"),
    ],
)
def test_what_a_verb_cannot_do_without_is_named(
    capsys: pytest.CaptureFixture[str], command: str, missing: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(command.split())
    assert stop.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.endswith(f"the following arguments are required: {missing}")


COMMAND = re.compile(r"python -m bench ((?:[^`\"\n\\]|\\\n)+)")


@pytest.mark.parametrize("page", all_pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_the_pages_are_understood(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = page.read_text(encoding="utf-8")
    for command in COMMAND.findall(text):
        words = shlex.split(command.replace("\\\n", " "), comments=True)
        if words[0] not in VERBS and f'"{words[0]}": Verb(' in text:
            continue  # the page adds it; tests/stages/test_adding_a_stage.py follows the page
        if len(words) == 1:  # speaks of the verb
            assert words[0].strip(",.") in {*VERBS, "VERB"}, (page, command)
            continue
        with pytest.raises(SystemExit) if "--help" in words else nullcontext():
            parsed(words)
        assert capsys.readouterr().err == "", (page, command)


def test_an_unknown_verb_exits_with_two() -> None:
    with pytest.raises(SystemExit) as stop:
        main(["trian"])
    assert stop.value.code == 2


def test_a_run_that_is_not_sound_exits_with_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["gate", str(SMOKE)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert "failures in results/smoke" in lines[0]
    assert "runs/digits/flow_matching/seed2/train: has not run" in lines


def test_a_log_keeps_all_that_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "logs" / "plan.log"
    assert main(["plan", str(SMOKE), "--log", str(log)]) == 0
    assert log.read_text() == capsys.readouterr().out
    assert "expected core-seconds" in log.read_text()


def test_a_log_keeps_the_traceback_of_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr("bench.stages.plan.run", crash)
    log = tmp_path / "plan.log"
    assert main(["plan", str(SMOKE), "--log", str(log)]) == 1
    assert "ZeroDivisionError: planted" in log.read_text()


@pytest.mark.parametrize("options", [(), ("-u",)], ids=["at its end", "at once"])
def test_output_that_nobody_reads_ends_a_verb_in_silence(options: tuple[str, ...]) -> None:
    """As in ``plan ... | head``."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, *options, "-m", "bench", "plan", str(SMOKE)]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    try:
        plan = subprocess.run(
            command,
            cwd=ROOT,
            env=buffered,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writer)
    assert plan.stderr == ""
    assert plan.returncode == 141


def test_a_pipe_that_breaks_elsewhere_is_a_crash(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise BrokenPipeError("planted")

    monkeypatch.setattr("bench.stages.plan.run", crash)
    assert main(["plan", str(SMOKE)]) == 1
    assert "BrokenPipeError: planted" in capsys.readouterr().err


def test_a_plan_never_imports_torch() -> None:
    script = (
        "import sys; from bench.cli import main; "
        f"code = main(['plan', {str(SMOKE)!r}]); "
        "loaded = {'torch', 'snakemake', 'matplotlib', 'sklearn'} & set(sys.modules); "
        "assert not loaded, loaded; raise SystemExit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"experiment {load(SMOKE).name}" in done.stdout


def test_threads_are_those_of_the_experiment(tmp_path: Path) -> None:
    """Set before numeric libraries are imported: they read these variables once."""
    path = edited(tmp_path, "\ntraining:", "\ntraining:\n  threads: 3")
    script = (
        "import os, sys; from bench.cli import main; assert 'numpy' not in sys.modules; "
        f"main(['plan', {str(path)!r}]); print(os.environ['OMP_NUM_THREADS'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "3"
