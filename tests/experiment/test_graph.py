"""The graph of stages is that of the stages themselves, of their rules and of what a run leaves."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.cli import VERBS as COMMANDS
from bench.experiment.graph import VERBS, Node, jobs, nodes, verbs
from bench.experiment.layout import OUTCOME, Layout
from bench.experiment.loading import from_mapping, load
from bench.experiment.spec import Experiment
from bench.registry import FAMILIES, module
from bench.stages.whole import arguments

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


def asked(**more: Any) -> Experiment:
    """An experiment with all kinds of measurements, and seeds in two jobs."""
    values: dict[str, Any] = {
        "name": "asked",
        "datasets": {"digits": {}, "mixture2d": {}},
        "formulations": dict.fromkeys(
            ("flow_matching", "rectified_flow", "consistency_distillation")
        ),
        "seeds": [3, 4, 5],
        "training": {"seeds_per_job": 2},
        "budget": {"unit": "device_seconds", "amount": {"digits": 5, "mixture2d": 5}},
        "likelihood": {},
        "convergence": {},
    }
    return from_mapping(values | more, "test")


TRAINED = asked()
BROUGHT = asked(
    name="brought",
    datasets={"digits": {}},
    formulations={},
    models={
        "brought": {
            "factories": [f"package.module:factory_{i}" for i in range(3)],
            "states": [f"{i:016}" for i in range(3)],
            "path": {"name": "linear"},
            "prediction": "velocity",
        }
    },
)
SCREENED = asked(name="screened", sweep={"screen": {}})
EXPERIMENTS = [TRAINED, BROUGHT, SCREENED, *map(load, CONFIGS)]


def before(node: Node) -> Iterator[Node]:
    """All stages that a stage builds on, directly or not."""
    for source in node.reads:
        yield source
        yield from before(source)


def test_the_experiments_of_these_tests_have_a_stage_of_every_verb() -> None:
    assert {*verbs(TRAINED), *verbs(BROUGHT), *verbs(SCREENED)} == set(VERBS)
    assert set(verbs(SCREENED)) - set(verbs(TRAINED)) == {"screen"}


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda one: one.name)
def test_what_is_read_comes_before(experiment: Experiment) -> None:
    seen: set[Node] = set()
    for node in nodes(experiment):
        assert set(node.reads) <= seen, node
        assert node not in seen
        seen.add(node)
    done: set[Node] = set()
    for job in jobs(experiment):
        assert {source for node in job for source in node.reads} <= done, job
        done |= set(job)
    assert done == seen


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda one: one.name)
def test_no_two_stages_share_a_folder(experiment: Experiment) -> None:
    folders = [node.folder(Layout(Path())) for node in nodes(experiment)]
    assert len(set(folders)) == len(folders)


def test_a_sweep_reads_the_screens_of_all_seeds_of_its_label() -> None:
    swept = [node for node in nodes(SCREENED) if node.verb == "sweep"]
    assert len(swept) == 2 * 3 * 3
    for node in swept:
        read = {source for source in node.reads if source.verb == "screen"}
        assert read == {Node("screen", node.dataset, node.label, seed) for seed in (3, 4, 5)}


def test_seeds_of_a_block_share_a_job() -> None:
    swept = [job for job in jobs(TRAINED) if job[0].verb == "sweep"]
    assert {tuple(node.seed for node in job) for job in swept} == {(3, 4), (5,)}
    assert len(swept) == 2 * 3 * 2
    assert all(len({replace(node, seed=None) for node in job}) == 1 for job in swept)


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda one: one.name)
def test_time_is_measured_on_the_first_models_of_each_label(experiment: Experiment) -> None:
    for node in nodes(experiment):
        if node.verb == "timing":
            data, *models = node.reads
            assert data == Node("prepare", node.dataset)
            assert [(model.label, model.seed, model.stage) for model in models] == [
                (label, seed, experiment.formulation(label).final.name)
                for label in experiment.labels
                for seed in experiment.seeds[: experiment.timing.seeds]
            ]


def test_names_are_those_of_records() -> None:
    names = {node.verb: node.name for node in nodes(TRAINED)}
    assert names["prepare"] == "data"
    assert names["calibrate"] == "calibration"
    assert names["pairs"] == "pairs_2"
    assert names["timing"] == "timing"


# --- the stages themselves --------------------------------------------------------------------


def guarded(
    experiment: Experiment, job: tuple[Node, ...], monkeypatch: pytest.MonkeyPatch
) -> list[dict[str, Any]]:
    """What the stages of a job say of themselves, each as soon as it would do its work."""
    said: list[dict[str, Any]] = []

    def run_guarded(folder: Path, digest: str, work: Any, **more: Any) -> None:
        said.append({"folder": folder, "digest": digest, **more})

    stage = module("stages", job[0].verb)
    for name in (stage.__name__, "bench.stages.running.job"):
        importing = importlib.import_module(name)
        if hasattr(importing, "run_guarded"):
            monkeypatch.setattr(importing, "run_guarded", run_guarded)
    stage.run(experiment, Layout(Path("results")), **arguments(job))
    return said


JOBS = {
    f"{job[0].dataset}-{job[0].verb}-{job[0].name}-{job[0].label}"
    + ("-screened" if experiment is SCREENED else ""): (experiment, job)
    for experiment in (BROUGHT, TRAINED, SCREENED)
    for job in jobs(experiment)
    if experiment is not SCREENED or job[0].verb in ("screen", "sweep")
}
"""One job of each kind of stage."""


@pytest.mark.parametrize(("experiment", "job"), JOBS.values(), ids=list(JOBS))
def test_a_node_says_what_its_stage_says(
    experiment: Experiment, job: tuple[Node, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(Path("results"))
    for node, said in zip(job, guarded(experiment, job, monkeypatch), strict=True):
        assert said["folder"] == node.folder(layout)
        assert said["digest"] == node.digest(experiment)
        if node.table is not None:
            assert node.table in said["files"]
        else:
            assert not [name for name in said.get("files", ()) if name.endswith(".parquet")]
        upstream = set((said.get("upstream") or {}).values())
        assert upstream <= {source.folder(layout) for source in before(node)}
        if node.verb != "timing":  # it leaves out labels whose training failed, and stands
            # A screen that failed leaves the choice to those of other seeds.
            needed = [source for source in node.reads if source.verb != "screen"]
            assert {source.folder(layout) for source in needed} <= upstream
        for name, folder in (said.get("upstream") or {}).items():
            (source,) = {read for read in before(node) if read.folder(layout) == folder}
            assert source.name == name


def leave_outcomes(folder: Path) -> set[str]:
    """Verbs whose files of ``bench/stages`` leave outcomes."""
    return {
        path.stem
        for path in folder.glob("*.py")
        if re.search(r"\brun_(guarded|jobs)\(", path.read_text(encoding="utf-8"))
    }


def test_every_stage_that_leaves_an_outcome_is_a_verb_of_the_graph(tmp_path: Path) -> None:
    stages = ROOT.joinpath(*FAMILIES["stages"].split("."))
    assert leave_outcomes(stages) == set(VERBS)
    (tmp_path / "planted.py").write_text("def run(x):\n    run_guarded(x.folder, x.digest, x)\n")
    assert leave_outcomes(tmp_path) - set(VERBS) == {"planted"}


def test_every_verb_of_the_graph_is_a_command_that_takes_what_it_is_done_for() -> None:
    for verb, about in VERBS.items():
        takes = {"seed" if option == "seeds" else option for option in COMMANDS[verb].options}
        assert set(about.by) <= takes, verb


# --- the rules --------------------------------------------------------------------------------


def rules() -> dict[str, str]:
    """The text of each rule that runs a verb of the graph; that of trainings runs three."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")):
        for text in re.split(r"^\s*rule\b", path.read_text(encoding="utf-8"), flags=re.MULTILINE):
            ran = re.search(r"python -m bench (\S+)", text)
            if ran is not None:
                trained = ran[1] == "{params.verb}"
                found |= dict.fromkeys(("train", "pairs", "foreign") if trained else [ran[1]], text)
    return {verb: text for verb, text in found.items() if verb in VERBS}


def test_every_verb_has_a_rule_which_gives_it_the_machine_alone_where_it_asks() -> None:
    found = rules()
    assert set(found) == set(VERBS)
    assert {verb for verb, text in found.items() if "threads: ALL_CORES" in text} == {
        verb for verb, about in VERBS.items() if about.alone
    }


# --- what a run leaves ------------------------------------------------------------------------


def test_the_folders_of_a_run_are_those_of_the_nodes(finished: Path) -> None:
    experiment = load(finished / "configs" / "smoke.yaml")
    layout = Layout(finished / "results" / "smoke")
    assert {path.parent for path in layout.root.rglob(OUTCOME)} == {
        node.folder(layout) for node in nodes(experiment)
    }
    assert {path for path in layout.root.rglob("*.parquet") if path.parent != layout.root} == {
        node.folder(layout) / node.table for node in nodes(experiment) if node.table is not None
    }
    code = yaml.safe_load((layout.root / "manifest.json").read_text())["code"]
    assert set(verbs(experiment)) < set(code)
