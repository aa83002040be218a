"""The kit for a bare machine with a GPU: packed, carried, run without a network, brought home."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from packaging.utils import canonicalize_name

from bench.data.sources import fashion as clothes
from bench.errors import InputError
from bench.evidence import records
from bench.experiment import digests
from bench.experiment.layout import LEDGER, OUTCOME, Layout
from bench.experiment.spec import Experiment
from bench.files import read_json, write_json
from bench.stages import sweep
from bench.stages.running import assembly
from tests import sources
from tests.benchmarks.gpu import fashion, pack, publish, run
from tests.benchmarks.gpu.measure import Deadline, Findings, Measurement
from tests.checkouts import ROOT, copy_checkout

PYTHON = ".".join(map(str, sys.version_info[:2]))


# --- packing --------------------------------------------------------------------------------------


def repository(folder: Path) -> Path:
    """What a kit is packed from, in a repository of its own with one commit."""
    copy_checkout(folder, "tests", "constraints.txt")
    named = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    for words in (["init", "-q"], ["add", "."], [*named, "commit", "-q", "-m", "all"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository without changes."""
    return repository(tmp_path_factory.mktemp("checkout") / "checkout")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheels of a kit, made of what is installed here."""
    folder = tmp_path_factory.mktemp("wheels")
    for name in pack.WHEELS:
        wheel_of(metadata.distribution(name), folder)
    return folder


def wheel_of(distribution: metadata.Distribution, folder: Path) -> Path:
    """A wheel of an installed distribution: its files as they lie, under the name of its tag."""
    tag = next(
        line.partition(": ")[2]
        for line in (distribution.read_text("WHEEL") or "").splitlines()
        if line.startswith("Tag: ")
    )
    name = canonicalize_name(distribution.metadata["Name"]).replace("-", "_")
    path = folder / f"{name}-{distribution.version}-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in distribution.files or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                archive.write(str(file.locate()), str(file))
    return path


def packed(checkout: Path, target: Path, **options: Any) -> dict[str, Any]:
    """Pack a kit of a repository; without data unless told otherwise."""
    with patch.multiple(pack, ROOT=checkout, HERE=checkout / "tests" / "benchmarks" / "gpu"):
        return pack.pack(target, **{"python": PYTHON, "data": None, **options})


def test_a_kit_holds_what_its_manifest_says(checkout: Path, wheels: Path, tmp_path: Path) -> None:
    entry = packed(
        checkout, tmp_path / "kit", wheels=wheels, limit=2**30, limit_beside_checkout=2**30
    )
    assert run.read_kit(tmp_path / "kit") == entry == read_json(tmp_path / "kit" / "kit.json")
    with tarfile.open(tmp_path / "kit" / "tree.tar.xz") as archive:
        names = {member.name for member in archive if member.isfile()}
    assert names == set(entry["tree"]["files"])
    assert {
        "bench/experiment/spec.py",
        "tests/benchmarks/gpu/run.py",
        "configs/fashion.yaml",
    } <= names
    assert entry["bytes"] == sum(
        path.stat().st_size
        for path in (tmp_path / "kit").rglob("*")
        if path.is_file() and path.name != "kit.json"
    )


def test_a_kit_that_is_too_large_is_refused(checkout: Path, wheels: Path, tmp_path: Path) -> None:
    for limits in ({"limit": 1000}, {"limit": 2**30, "limit_beside_checkout": 1000}):
        with pytest.raises(InputError, match=r"MiB, and 0\.0 can be carried"):
            packed(checkout, tmp_path / "kit", wheels=wheels, **limits)
        with pytest.raises(run.UnusableError, match=r"no kit\.json"):
            run.read_kit(tmp_path / "kit")


def test_changes_that_are_not_committed_are_refused(tmp_path: Path) -> None:
    folder = repository(tmp_path / "checkout")
    assert len(pack.committed(folder)) == 40
    (folder / "bench" / "experiment" / "spec.py").write_text("# changed\n")
    with pytest.raises(InputError, match=r"bench/experiment/spec.py has changes"):
        packed(folder, tmp_path / "kit")
    assert not (tmp_path / "kit").exists()


def test_a_folder_that_holds_something_else_is_left_alone(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds mine\.txt"):
        packed(checkout, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_bad_input_is_one_line_and_exit_code_two(
    checkout: Path, wheels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(tmp_path / "kit"), "--wheels", str(wheels), "--fashion", str(tmp_path / "none")]
    with patch.object(pack, "committed", lambda root: "0" * 40):
        assert pack.main([*words, "--python", PYTHON]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--without-fashion" in line


def test_what_a_wheel_requires_is_packed_or_there(wheels: Path) -> None:
    paths = sorted(wheels.glob("*.whl"))
    pack.check_requirements(paths, PYTHON)
    for name in ("annotated_types", "pot", "pydantic_core", "torch_fidelity"):
        others = [path for path in paths if not path.name.startswith(f"{name}-")]
        assert len(others) == len(paths) - 1
        with pytest.raises(InputError, match="neither packed nor on the machine"):
            pack.check_requirements(others, PYTHON)


def test_a_version_that_is_not_asked_for_is_found(tmp_path: Path) -> None:
    old = tmp_path / "pydantic_core-2.0.0-py3-none-any.whl"
    with zipfile.ZipFile(old, "w") as archive:
        archive.writestr("pydantic_core-2.0.0.dist-info/METADATA", "Name: pydantic_core\n\n")
    pydantic = wheel_of(metadata.distribution("pydantic"), tmp_path)
    needs, there = pack.Wheel.read(pydantic), {"annotated-types", "typing-inspection"}
    versions = {"pydantic-core": pack.Wheel.read(old).version, "typing-extensions": "4.0"}
    found = {need.name for need in pack.missing(needs, versions, there, PYTHON)}
    assert found == {"pydantic-core", "typing-extensions"}


def test_the_list_of_the_machine_is_of_canonical_names() -> None:
    names = pack.names_of(pack.HERE / "machine.txt")
    assert names == sorted({canonicalize_name(name) for name in names})
    assert set(pack.WHEELS) & set(names) == {"typing-extensions"}  # there, and too old perhaps


def test_a_package_without_a_wheel_is_built(tmp_path: Path) -> None:
    source = tmp_path / "genpath_demo-1.0"
    source.mkdir()
    (source / "genpath_demo.py").write_text("")
    project = '[project]\nname = "genpath-demo"\nversion = "1.0"\n'
    (source / "pyproject.toml").write_text(
        f'{project}[tool.setuptools]\npy-modules = ["genpath_demo"]\n'
    )
    (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: genpath-demo\nVersion: 1.0\n")
    with tarfile.open(tmp_path / "genpath_demo-1.0.tar.gz", "w:gz") as archive:
        archive.add(source, source.name)
    built = tmp_path / "built"
    built.mkdir()
    options = ("--no-index", "--no-build-isolation", "--find-links", str(tmp_path))
    assert pack.build("genpath-demo==1.0", built, *options)
    assert [path.name for path in built.iterdir()] == ["genpath_demo-1.0-py3-none-any.whl"]
    assert not pack.build("genpath-demo==2.0", built, *options)


def test_the_wheels_of_the_machines_python_can_be_had(tmp_path: Path) -> None:
    """The real download, for the Python of such a machine."""
    try:
        pack.download(tmp_path, "3.12")
    except InputError as error:
        pytest.skip(f"no package index can be reached: {error}")
    found = sorted(tmp_path.glob("*.whl"))
    assert {pack.Wheel.read(path).name for path in found} == set(pack.WHEELS)
    pack.check_requirements(found, "3.12")
    assert sum(path.stat().st_size for path in found) < 6 * pack.MIB


# --- the data set ---------------------------------------------------------------------------------


def test_the_data_set_is_unpacked_as_its_reader_knows_it(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    with patch.object(clothes, "FILES", sources.fashion_files(files)):
        known = pack.pack_data(files, tmp_path / "fashion.xz")
        folder = run.unpack_data({"data": known}, tmp_path, tmp_path / "work")
        assert folder is not None
        sources.assert_read(clothes.build(clothes.Options(path=str(folder))), 28, 1)
    other = {**known, "files": [{**file, "sha256": "0" * 64} for file in known["files"]]}
    with pytest.raises(run.UnusableError, match="another content"):
        run.unpack_data({"data": {**other, "sha256": "1" * 64}}, tmp_path, tmp_path / "work")


def test_a_file_that_is_not_the_official_one_is_not_packed(tmp_path: Path) -> None:
    sources.fashion_files(tmp_path)
    with pytest.raises(InputError, match="is not the official file"):
        pack.pack_data(tmp_path, tmp_path / "fashion.xz")
    assert not (tmp_path / "fashion.xz").exists()


def test_no_digest_depends_on_where_the_data_lie(tmp_path: Path) -> None:
    experiment = fashion.experiment_of(tiny=False)
    there = fashion.reading_from(experiment, tmp_path)
    assert there.datasets["fashion"].options["path"] == str(tmp_path)
    for found in (
        lambda e: digests.data_digest(e, "fashion"),
        lambda e: digests.sweep_digest(e, "fashion", "rectified_flow", 3),
    ):
        assert found(experiment) == found(there)


def test_one_seed_at_a_time_changes_no_digest() -> None:
    experiment = fashion.experiment_of(tiny=False)
    training = experiment.training.model_copy(update={"seeds_per_job": 1})
    alone = experiment.model_copy(update={"training": training})
    for label in experiment.labels:
        name = experiment.formulation(label).final.name
        one, other = (
            digests.stage_digest(e, "fashion", label, name, 2) for e in (experiment, alone)
        )
        assert one == other


# --- running --------------------------------------------------------------------------------------


def kit_of(folder: Path, checkout: Path) -> dict[str, Any]:
    """A kit without wheels and data, of a tree."""
    entry = {
        "commit": "c" * 40,
        "wheels": {},
        "data": None,
        "tree": pack.pack_tree(checkout, folder / pack.TREE),
    }
    write_json(folder / "kit.json", entry)
    return entry


def test_another_checkout_than_the_packed_one_is_refused(checkout: Path, tmp_path: Path) -> None:
    entry = kit_of(tmp_path, checkout)
    (tmp_path / pack.TREE).unlink()
    run.read_kit(tmp_path)
    script = checkout / "tests" / "benchmarks" / "gpu" / "run.py"
    with patch.object(run, "__file__", str(script)):
        assert run.find_tree(entry, tmp_path, tmp_path) == checkout
        entry["tree"]["files"]["bench/experiment/spec.py"] = "0" * 64
        with pytest.raises(run.UnusableError, match=r"spec.py: is not as in commit cccc"):
            run.find_tree(entry, tmp_path, tmp_path)


def test_the_tree_of_the_kit_is_what_runs(checkout: Path, tmp_path: Path) -> None:
    tree = run.find_tree(kit_of(tmp_path, checkout), tmp_path, tmp_path)
    assert tree.parent == tmp_path
    assert (tree / "bench" / "experiment" / "spec.py").read_bytes() == (
        checkout / "bench" / "experiment" / "spec.py"
    ).read_bytes()


def test_a_kit_that_was_damaged_on_the_way_is_refused(checkout: Path, tmp_path: Path) -> None:
    kit_of(tmp_path, checkout)
    run.read_kit(tmp_path)
    with (tmp_path / pack.TREE).open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(run.UnusableError, match="is not the file that was packed"):
        run.read_kit(tmp_path)


def test_a_part_that_overruns_is_killed_with_its_children(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    child = f"import fcntl, time; f = open({str(lock)!r}, 'w'); fcntl.flock(f, 2); time.sleep(60)"
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    began = time.monotonic()
    code = run.run_part([sys.executable, "-c", script], tmp_path, {}, tmp_path / "log.txt", 2)
    assert code == 124 and time.monotonic() - began < 30
    with lock.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)  # which a child that is left would hold for a minute
    assert time.monotonic() - began < 30


def test_a_part_that_says_too_much_loses_the_middle(tmp_path: Path) -> None:
    script = "for i in range(1000): print(i, 'x' * 20)"
    log = tmp_path / "log.txt"
    log.write_text("before\n")
    for most, first in ((10_000, "before\n0 x"), (4050, "x")):
        with patch.multiple(run, LOG_BYTES=4000, MOST_BYTES=most):
            assert run.run_part([sys.executable, "-c", script], tmp_path, {}, log, 60) == 0
        text = log.read_text()
        assert text.startswith(first) and "[... cut ...]" in text and "\n999 x" in text
        assert len(text) <= most


def findings_of(folder: Path, part: str, *, complete: bool = True) -> Findings:
    """A part's file with one figure."""
    found = Findings.open(folder, part, torch.device("cpu"))
    found.add(Measurement(part, "a subject", "samples a second", 1.0, 0.5, 2.0, "s"))
    if complete:
        found.close()
    return found


def test_what_an_earlier_run_completed_is_done(tmp_path: Path) -> None:
    (part, *_) = run.PARTS
    with patch.dict(os.environ, {run.COMMIT_VARIABLE: "c"}):
        found = findings_of(tmp_path, part.name, complete=False)
    assert not run.is_done(part, tmp_path, None, "c")
    found.close()
    assert run.is_done(part, tmp_path, None, "c")
    assert not run.is_done(part, tmp_path, "another card", "c")
    assert not run.is_done(part, tmp_path, None, "another commit")
    found.failed("a subject", "a bound")
    assert not run.is_done(part, tmp_path, None, "c")
    archived = run.PARTS[-1]
    with patch.dict(os.environ, {run.COMMIT_VARIABLE: "c"}):
        findings_of(tmp_path, archived.name)
    assert not run.is_done(archived, tmp_path, None, "c")


def test_files_of_an_earlier_run_replace_none(tmp_path: Path) -> None:
    before, out = tmp_path / "before", tmp_path / "out"
    before.mkdir()
    out.mkdir()
    with pytest.raises(run.UnusableError, match="no results of an earlier run"):
        run.take_over(before, out)
    for name in ("log.txt", "fashion.json", "unknown.bin"):
        (before / name).write_text("earlier")
    (out / "log.txt").write_text("later")
    assert run.take_over(before, out) == ["fashion.json"]
    assert (out / "log.txt").read_text() == "later"
    assert sorted(path.name for path in out.iterdir()) == ["fashion.json", "log.txt"]


def test_parts_and_their_limits_leave_time_for_the_experiment() -> None:
    assert run.COMMIT_VARIABLE in (ROOT / "tests/benchmarks/gpu/measure.py").read_text()
    assert [part.limit for part in run.PARTS][-1] is None
    assert sum(part.limit or 0 for part in run.PARTS) < 300
    files = [run.ENVIRONMENT, run.LOG, *(f"{part.name}.json" for part in run.PARTS)]
    files += [part.archive for part in run.PARTS if part.archive]
    assert len(files) < run.MOST_FILES  # one more may be half written when a run is cut off


# --- the experiment -------------------------------------------------------------------------------


def test_a_rehearsal_is_the_shipped_experiment_made_small() -> None:
    shipped, tiny = fashion.experiment_of(tiny=False), fashion.experiment_of(tiny=True)
    assert shipped.name == "fashion" and len(shipped.labels) == 6
    assert tiny.budget.unit == shipped.budget.unit == "device_seconds"
    assert tiny.training.precision == shipped.training.precision == "bf16"
    assert tiny.sweep.solvers == shipped.sweep.solvers


def test_seeds_come_one_after_the_other() -> None:
    found = [(label, seed) for _, label, seed in fashion.models(fashion.experiment_of(tiny=True))]
    assert found == [
        ("rectified_flow", 0),
        ("flow_matching", 0),
        ("rectified_flow", 1),
        ("flow_matching", 1),
    ]


def pretend(layout: Layout, experiment: Experiment, model: fashion.Model, seconds: float) -> None:
    """Outcomes of a model whose stages took some seconds each."""
    for step in fashion.model_steps(experiment, layout, model):
        digest = digests.sweep_digest(experiment, *model) if "sweep" in step.subject else "d"
        outcome = {"status": "ok", "digest": digest, "wall_seconds": seconds, "files": {}}
        write_json(step.folder / OUTCOME, outcome)
        (step.folder / "big.safetensors").write_bytes(b"0" * 100)
        if step.folder.name == "sweep":
            (step.folder / sweep.SAMPLES).write_bytes(os.urandom(1000))


def test_a_model_is_estimated_from_those_before(tmp_path: Path) -> None:
    experiment, layout = fashion.experiment_of(tiny=True), Layout(tmp_path)
    one, other = ("digits", "rectified_flow", 1), ("digits", "flow_matching", 1)

    def expected(model: fashion.Model) -> float:
        return fashion.expected_seconds(experiment, layout, model)

    assert expected(one) == fashion.UNKNOWN_SHARE * experiment.budget.amount["digits"]
    pretend(layout, experiment, ("digits", "rectified_flow", 0), 5.0)  # flow, pairs, flow, sweep
    assert expected(one) == expected(other) == pytest.approx(fashion.MARGIN * 20)
    pretend(layout, experiment, ("digits", "flow_matching", 0), 3.0)
    assert expected(other) == pytest.approx(fashion.MARGIN * 6)


def test_only_what_is_light_and_ended_is_packed(tmp_path: Path) -> None:
    experiment, layout = fashion.experiment_of(tiny=True), Layout(tmp_path / "results")
    for seed in (0, 1):
        pretend(layout, experiment, ("digits", "flow_matching", seed), 1.0)
    cut_off = layout.stage("digits", "rectified_flow", 0, "flow_1")
    write_json(cut_off / OUTCOME, {"status": "ok"})
    experiment.save(layout.config)
    fashion.write_archive(experiment, layout, tmp_path)
    fashion.unpack(tmp_path / fashion.ARCHIVE, tmp_path / "home")
    found = {str(p.relative_to(tmp_path / "home")) for p in (tmp_path / "home").rglob("*.*")}
    model = "runs/digits/flow_matching/seed"
    assert found == {
        "config.yaml",
        *(f"{model}{seed}/{stage}/outcome.json" for seed in (0, 1) for stage in ("train", "sweep")),
        f"{model}0/sweep/samples.safetensors",
    }


def test_samples_are_left_where_an_archive_would_be_too_large(tmp_path: Path) -> None:
    experiment, layout = fashion.experiment_of(tiny=True), Layout(tmp_path / "results")
    pretend(layout, experiment, ("digits", "flow_matching", 0), 1.0)
    whole = fashion.write_archive(experiment, layout, tmp_path)
    with patch.object(fashion, "ARCHIVE_BYTES", whole - 1):
        assert fashion.write_archive(experiment, layout, tmp_path) < whole - 900
    kept = (tmp_path / fashion.ARCHIVE).read_bytes()
    with patch.object(fashion, "ARCHIVE_BYTES", 10), pytest.raises(ValueError, match="carried"):
        fashion.write_archive(experiment, layout, tmp_path)
    assert (tmp_path / fashion.ARCHIVE).read_bytes() == kept


def test_real_samples_are_made_once_a_data_set(tmp_path: Path) -> None:
    experiment, made = fashion.experiment_of(tiny=True), []

    def make(*arguments: object) -> object:
        made.append(arguments)
        return object()

    data, other = (sources.build(name) for name in ("digits", "mixture2d"))
    with patch.object(assembly, "references", make):
        fashion.share_references()
        ask = partial(assembly.references, experiment, device=torch.device("cpu"))
        one = ask(Layout(tmp_path), dataset=data)
        assert ask(Layout(tmp_path), dataset=data) is one
        assert ask(Layout(tmp_path), dataset=other) is not one
        assert ask(Layout(tmp_path / "elsewhere"), dataset=data) is not one
    assert len(made) == 3


def test_budgets_of_another_card_are_refused(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    fashion.take_card(layout, "card one")
    fashion.take_card(layout, "card one")
    with pytest.raises(fashion.OtherCardError, match="seconds of card one, and this is card two"):
        fashion.take_card(layout, "card two")


def test_what_does_not_fit_is_left_to_a_later_run(tmp_path: Path) -> None:
    experiment = fashion.experiment_of(tiny=True)
    layout = fashion.restored(experiment, tmp_path, tmp_path / "none")
    found = Findings.open(tmp_path, fashion.PART, torch.device("cpu"))
    for model in fashion.models(experiment):
        pretend(layout, experiment, model, 1000.0)
    shutil.rmtree(layout.model("digits", "flow_matching", 1))
    one = fashion.Run(
        experiment, layout, None, tmp_path, found, Deadline(time.process_time() + 60),
        torch.device("cpu"),
    )  # fmt: skip
    finished = ("digits", "rectified_flow", 1)
    assert fashion.is_finished(experiment, layout, finished)
    assert not one._model(("digits", "flow_matching", 1))
    assert not layout.model("digits", "flow_matching", 1).exists()
    assert one._model(finished)
    subjects = {m.subject for m in found.measurements}
    assert "seed1/rectified_flow/sweep" in subjects
    assert not any("seed1/consistency" in subject for subject in subjects)


# --- bringing it home -----------------------------------------------------------------------------


@pytest.fixture
def brought(tmp_path: Path) -> Path:
    """Results of a run: every part with one figure, and an archive."""
    out = tmp_path / "brought"
    out.mkdir()
    for part in run.PARTS:
        findings_of(out, part.name)
    experiment, layout = fashion.experiment_of(tiny=True), Layout(tmp_path / "results")
    experiment.save(layout.config)
    fashion.write_archive(experiment, layout, out)
    keys = ("commit", "command", "started", "cards", "packages", "parts")
    write_json(out / run.ENVIRONMENT, dict.fromkeys(keys, "python3 run.py"))
    return out


def test_results_are_valid(brought: Path) -> None:
    found = publish.validate(brought)
    assert tuple(found.parts) == tuple(part.name for part in run.PARTS)
    assert found.experiment == fashion.experiment_of(tiny=True)
    assert found.rehearsed


@pytest.mark.parametrize(
    "name", [run.ENVIRONMENT, fashion.ARCHIVE, *(f"{part.name}.json" for part in run.PARTS)]
)
def test_a_file_that_was_cut_off_is_found(brought: Path, name: str) -> None:
    content = (brought / name).read_bytes()
    (brought / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=name.replace(".", r"\.")):
        publish.validate(brought)


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    assert publish.main([str(tmp_path)]) == 2


def test_a_rehearsal_is_never_published(
    brought: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish.main([str(brought), "--check"]) == 0
    with pytest.raises(InputError, match="nothing to publish"):
        publish.publish(brought, tmp_path)
    assert not (tmp_path / "results" / "reference").exists()


def on_a_card(out: Path) -> None:
    """Let results pretend that a GPU made them."""
    for part in run.PARTS:
        contents = read_json(out / f"{part.name}.json")
        contents["environment"] |= {"card": "Some Card", "command": "python part.py"}
        write_json(out / f"{part.name}.json", contents)


def test_the_table_and_the_manifest_come_from_the_measurements(
    brought: Path, tmp_path: Path
) -> None:
    on_a_card(brought)
    (brought / fashion.ARCHIVE).unlink()
    (tmp_path / "README.md").write_text(f"before\n{publish.BEGIN}\nold\n{publish.END}\nafter\n")
    publish.publish(brought, tmp_path)
    target = tmp_path / "results" / "reference" / "gpu"
    rows = publish.read_measurements(target / publish.MEASUREMENTS)
    assert [(card, m.part, m.value) for card, m in rows] == [
        ("Some Card", part.name, 1.0) for part in run.PARTS
    ]
    manifest = read_json(target / publish.MANIFEST)
    assert manifest["not run"] == []
    assert manifest["parts"]["fashion"]["environment"]["card"] == "Some Card"
    readme = (tmp_path / "README.md").read_text()
    assert readme.startswith("before\n") and readme.endswith("\nafter\n") and "old" not in readme
    assert "Measured on Some Card." in readme
    assert "| throughput | a subject | samples a second 1 [0.5, 2] s |" in readme


def test_checks_have_one_row_with_the_one_closest_to_its_bound(tmp_path: Path) -> None:
    assert publish.block(tmp_path / "none.csv") == publish.NOTHING
    part = {"environment": {"card": "Some Card"}, "complete": True, "failures": []}
    checks = [
        {"part": "correctness", "subject": name, "quantity": "relative error", "value": value,
         "low": None, "high": 1e-3, "unit": "1", "note": ""}
        for name, value in (("solver/a", 1e-5), ("solver/b", 9e-4), ("solver/c", 2e-4))
    ]  # fmt: skip
    found = publish.Found({}, {"correctness": {**part, "measurements": checks}}, None)
    publish.write_measurements(found, tmp_path)
    (row,) = publish.block(tmp_path / publish.MEASUREMENTS).splitlines()[4:]
    closest = "closest to its bound: solver/b, at 0.9 of its bound"
    assert row == f"| correctness | 3 checks | {closest} |"


def test_models_have_one_row(tmp_path: Path) -> None:
    taken = {"floor": 70.0, "seed0/a/train": 9.0, "seed0/a/sweep": 3.0}
    taken |= {"seed1/a/train": 11.0, "seed1/a/pairs": 2.0, "seed1/a/sweep": 5.0}
    rows = [
        asdict(Measurement("fashion", name, fashion.WALL, seconds, None, None, "s"))
        for name, seconds in taken.items()
    ]
    part = {"environment": {"card": "Some Card"}, "complete": True, "failures": []}
    found = publish.Found({}, {"fashion": {**part, "measurements": rows}}, None)
    publish.write_measurements(found, tmp_path)
    (row,) = publish.block(tmp_path / publish.MEASUREMENTS).splitlines()[4:]
    assert row == "| fashion | 2 models | stages 11 [10, 12] s; sweep 4 [3.5, 4.5] s |"


def test_the_readme_shows_what_is_published() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    measured = ROOT / "results" / "reference" / publish.GPU / publish.MEASUREMENTS
    assert publish.with_block(readme, publish.block(measured)) == readme


def test_a_readme_without_its_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="gpu:begin"):
        publish.with_block("nothing", "text")


# --- all of it ------------------------------------------------------------------------------------

GUARD = '''"""No network: what a machine without one would refuse."""

import socket

_connect = socket.socket.connect


def _refuse(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6):
        raise OSError("this machine has no network")
    return _connect(self, address)


socket.socket.connect = _refuse
'''


def bare_machine(folder: Path) -> Path:
    """An environment that holds what the list of the machine names, and nothing else.

    Packages are links to those installed here, at the highest folder that holds nothing of others.
    Returns its Python.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = folder / "lib" / f"python{PYTHON}" / "site-packages"
    allowed = pack.machine()
    files: dict[Path, bool] = {}
    owners: dict[Path, set[bool]] = defaultdict(set)
    for distribution in metadata.distributions():
        there = canonicalize_name(distribution.metadata["Name"]) in allowed
        base = Path(str(distribution.locate_file("")))
        for file in distribution.files or ():
            if ".." in file.parts or file.is_absolute() or base.name != "site-packages":
                continue
            files[base / file] = there
            for parent in (base / file).relative_to(base).parents:
                owners[base / parent].add(there)
    for path, there in files.items():
        if not there or not path.exists():
            continue
        base = next(parent for parent in path.parents if parent.name == "site-packages")
        steps = [base.joinpath(*path.relative_to(base).parts[: n + 1])
                 for n in range(len(path.relative_to(base).parts))]  # fmt: skip
        chosen = next((step for step in steps[:-1] if owners[step] == {True}), path)
        link = site / chosen.relative_to(base)
        if not link.is_symlink():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(chosen)
    (site / "sitecustomize.py").write_text(GUARD)
    return folder / "bin" / "python"


def without_network() -> list[str]:
    """Words before a command that take its network away, where that is permitted."""
    for words in (["unshare", "--net"], ["unshare", "--net", "--map-root-user"]):
        if (
            shutil.which(words[0])
            and not subprocess.run([*words, "true"], capture_output=True).returncode
        ):
            return words
    return []


@pytest.mark.slow
def test_the_whole_kit_on_a_bare_machine(
    checkout: Path, wheels: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Packed, carried, killed in the middle, gone on with elsewhere, brought home, published."""
    kit = tmp_path / "kit"
    packed(checkout, kit, wheels=wheels, limit=2**30, limit_beside_checkout=2**30)
    python = bare_machine(tmp_path / "machine")
    held = subprocess.run(
        [python, "-c", "import torch, torchdiffeq, pydantic"], capture_output=True, text=True
    )
    assert "No module named 'pydantic'" in held.stderr

    def command(name: str, *more: str) -> list[str]:
        words = [*without_network(), str(python), str(kit / "run.py")]
        words += ["--out", str(tmp_path / name), "--work", str(tmp_path / f"{name}.work")]
        return [*words, "--tiny", "--seconds", "500", *more]

    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "BENCH_RUN")}
    environment["CUDA_VISIBLE_DEVICES"] = ""
    first, second = tmp_path / "first", tmp_path / "second"

    # The first machine is lost once the first seed is finished and timed.
    process = subprocess.Popen(command("first"), cwd=tmp_path, env=environment)
    try:
        wait_until(lambda: "timing/digits" in dict(archived(first, OUTCOME)), process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = finished_models(first)
    assert {"rectified_flow/seed0", "flow_matching/seed0"} <= done
    assert done < {"rectified_flow/seed0", "flow_matching/seed0", "rectified_flow/seed1",
                   "flow_matching/seed1"}  # fmt: skip
    ledgers = ledgers_in(first)

    # Another one goes on.
    code = subprocess.run(
        command("second", "--before", str(first)), cwd=tmp_path, env=environment, check=False
    ).returncode
    said = capfd.readouterr().out
    log = (second / run.LOG).read_text()
    assert code == 0, said + log
    for part in run.PARTS[:-1]:
        assert f"{part.name}: complete already" in said
    assert said.count("complete already") == len(run.PARTS) - 1
    assert ledgers.items() <= ledgers_in(second).items()
    assert len(finished_models(second)) == 4
    sizes = {path.name: path.stat().st_size for path in second.iterdir()}
    assert len(sizes) <= run.MOST_FILES and max(sizes.values()) <= run.MOST_BYTES
    assert all(not name.startswith(".") for name in sizes)

    # Home again.
    found = publish.validate(second)
    assert all(part["complete"] and not part["failures"] for part in found.parts.values())
    assert found.rehearsed and found.experiment == fashion.experiment_of(tiny=True)
    measured = {m["quantity"] for part in found.parts.values() for m in part["measurements"]}
    assert set(publish.SHOWN) <= measured, "the README shows quantities that no part measures"
    root = tmp_path / "home" / "results" / found.experiment.name
    publish.bring_experiment(second, root, found.experiment)
    publish.publish_experiment(root, found.experiment)
    published = root.parent / "reference" / found.experiment.name
    table = records.read(published / "records.parquet")
    assert set(table["train_seed"].dropna()) == {0, 1}
    assert (table["metric"] == "seconds_per_sample").any()
    manifest = read_json(published / "manifest.json")
    assert manifest["command"].split()[:3] == [
        "tests/benchmarks/gpu/fashion.py", "--out", "second"
    ]  # fmt: skip
    assert manifest["packages"]["pot"] == metadata.version("pot")
    assert str(tmp_path) not in json.dumps(manifest)


def wait_until(there: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait for something that a process brings about, while it runs."""
    deadline = time.monotonic() + 300
    while not there():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)


def archived(out: Path, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """JSON files of a name in the archive of a run: their places and contents."""
    path = out / fashion.ARCHIVE
    if not path.is_file():
        return
    with tarfile.open(path, "r:xz") as archive:
        for member in archive:
            if member.name.endswith(f"/{name}"):
                stream = archive.extractfile(member)
                assert stream is not None
                yield member.name.removesuffix(f"/{name}"), json.load(stream)


def finished_models(out: Path) -> set[str]:
    """Models whose sweep has ended, by label and seed."""
    return {
        "/".join(Path(place).parts[2:4])
        for place, outcome in archived(out, OUTCOME)
        if Path(place).name == "sweep" and outcome["status"] == "ok"
    }


def ledgers_in(out: Path) -> dict[str, dict[str, Any]]:
    """What every stage has spent, measured seconds included: no second training repeats them."""
    return dict(archived(out, LEDGER))


def test_an_experiment_is_published_as_far_as_it_came_and_gone_on_with(tmp_path: Path) -> None:
    """One model of four, and no seconds a sample; then all, where its checkpoint is lost."""
    experiment = fashion.experiment_of(tiny=True)
    fits = {("digits", "flow_matching", 0)}

    def expected(_: object, __: object, model: fashion.Model) -> float:
        return 0.0 if model in fits else 1e12

    with patch.object(fashion, "expected_seconds", expected):
        one = run_on(tmp_path / "machine", tmp_path, experiment)
        assert not one.all()
    root = tmp_path / "home" / "results" / experiment.name
    publish.bring_experiment(tmp_path, root, experiment)
    publish.publish_experiment(root, experiment)
    published = root.parent / "reference" / experiment.name
    missing = read_json(published / "unfinished.json")["has not run"]
    assert "timing/digits" in missing and "runs/digits/rectified_flow/seed1/sweep" in missing
    failed = records.read(published / "records.parquet").query("metric == 'failed'")
    assert {*failed["label"].dropna()} == {"rectified_flow", "flow_matching"}

    other = run_on(tmp_path / "other machine", tmp_path, experiment)
    assert other.all()
    publish.bring_experiment(tmp_path, root, experiment)
    publish.publish_experiment(root, experiment)
    assert not (published / "unfinished.json").exists()
    table = records.read(published / "records.parquet")
    assert not (table["metric"] == "failed").any()
    timed = table[(table["metric"] == "seconds_per_sample") & (table["status"] == "ok")]
    assert {*timed["label"]} == {"rectified_flow", "flow_matching"}
    assert not other.findings.failures


def run_on(machine: Path, out: Path, experiment: Experiment) -> fashion.Run:
    """The part on a machine without a GPU, its files in ``out``."""
    machine.mkdir()
    layout = fashion.restored(experiment, machine, out / fashion.ARCHIVE)
    fashion.take_card(layout, None)
    device = torch.device("cpu")
    found = Findings.open(out, fashion.PART, device)
    return fashion.Run(experiment, layout, None, out, found, Deadline(1e9), device)
