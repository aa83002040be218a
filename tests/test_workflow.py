"""The workflow on configs/smoke.yaml: what it leaves, and what it would do again."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.errors import InputError, RunError
from bench.evidence import ledgers, records
from bench.experiment.graph import nodes
from bench.experiment.layout import Layout
from bench.experiment.loading import load
from bench.files import read_json
from bench.report import CAPTIONS, FIGURE_SUFFIXES, FIGURES, TABLE_SUFFIXES, TABLES
from bench.stages import clean, gate, publish, verify
from bench.stages.running.outcome import read_outcome
from workflow import translate

ROOT = Path(__file__).parent.parent
REPORTING = {"report: tables, figures and the page", "gate: is the run sound?"}
COLLECTING = REPORTING | {"collect: all records in one table"}


def snakemake(checkout: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", *options]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)


def planned(checkout: Path, config: Path | str = "configs/smoke.yaml") -> set[str]:
    """What a dry run says that it would run."""
    done = snakemake(checkout, "-n", "--configfile", str(config), "--quiet", "host", "reason")
    assert done.returncode == 0, done.stderr
    return set(re.findall(r"^Job \d+: (.*)$", done.stdout + done.stderr, re.MULTILINE))


def verbs(messages: set[str]) -> set[str]:
    return {message.split(":")[0] for message in messages}


# --- what a run leaves ------------------------------------------------------------------------


def test_a_run_leaves_everything_that_it_promises(finished: Path) -> None:
    root = finished / "results" / "smoke"
    experiment, layout = load(finished / "configs" / "smoke.yaml"), Layout(root)
    assert load(layout.config) == experiment
    for node in nodes(experiment):
        folder = node.folder(layout)
        outcome = read_outcome(folder)
        assert outcome is not None and outcome["status"] == "ok", folder
    for name in ("records.parquet", "records.csv", "manifest.json", "report.html", "gate.json"):
        assert (root / name).stat().st_size > 0
    tables = {f"{name}.{suffix}" for name in TABLES for suffix in TABLE_SUFFIXES}
    assert {path.name for path in (root / "tables").iterdir()} == tables
    captions = {f"table_{name}.rst" for name in TABLES} | {f"figure_{n}.rst" for n in FIGURES}
    assert {path.name for path in (root / CAPTIONS).iterdir()} == captions
    figures = {f"{name}.{suffix}" for name in FIGURES for suffix in FIGURE_SUFFIXES}
    assert {path.name for path in (root / "figures").iterdir()} == figures


def test_collecting_and_reporting_do_without_torch(copied: Path) -> None:
    script = (
        "import sys; from bench.cli import main; "
        "codes = [main([verb, 'configs/smoke.yaml']) for verb in ('collect', 'report', 'gate')]; "
        "assert codes == [0, 0, 0], codes; assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=copied, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_run_says_what_it_costs_what_it_does_and_where_the_report_is(finished: Path) -> None:
    said = (finished / "output.txt").read_text()
    assert re.search(r"expected: [\d,]+ core-seconds, [\d.]+ minutes on \d+ cores", said)
    assert "train: vp_diffusion on digits, stage train, seeds 0 1 2" in said
    assert "pairs: rectified_flow on digits, stage pairs_2, seeds 0 1 2" in said
    assert re.search(r"digits/flow_matching/seed2/train: [\d,]+/[\d,]+ updates \(100%\)", said)
    assert said.rstrip().endswith("Done. The report: results/smoke/report.html")


def test_logs_hold_what_each_job_said(finished: Path) -> None:
    logs = finished / "results" / "smoke" / "logs"
    text = (logs / "train" / "digits.flow_matching.train.0-2.log").read_text()
    assert "digits/flow_matching/seed1/train" in text


def test_a_finished_run_verifies(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verify.run(finished / "results" / "smoke")
    assert "as claimed" in capsys.readouterr().err


def test_a_finished_run_cleans_nothing(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(finished)
    experiment = load(finished / "configs" / "smoke.yaml")
    layout = Layout(Path("results", "smoke"))
    assert list(clean.orphans(experiment, layout)) == []
    assert list(clean.old_features(experiment, layout)) == []
    fewer = experiment.model_copy(update={"seeds": [0, 1]})
    orphans = {str(folder.relative_to(layout.root)) for folder in clean.orphans(fewer, layout)}
    assert "runs/digits/consistency_distillation/seed2/teacher" in orphans
    assert all("/seed2/" in orphan for orphan in orphans)


def test_the_published_copy_is_small_and_verifies(copied: Path) -> None:
    publish.run(copied / "results" / "smoke")
    published = copied / "results" / "reference" / "smoke"
    verify.run(published)
    assert {str(path.relative_to(published)) for path in published.rglob("*.*")} == {
        "config.yaml",
        "figures/quality_vs_nfe.png",
        "figures/samples.png",
        "expected.json",
        "gate.json",
        "contents.json",
        "ledgers.json",
        "manifest.json",
        "records.parquet",
        "report.html",
        "tables/summary.md",
    }
    root = copied / "results" / "smoke"
    written = {str(path.relative_to(root)): read_json(path) for path in root.rglob("ledger.json")}
    assert ledgers.of_run(Layout(published)) == written != {}
    assert sum(path.stat().st_size for path in published.rglob("*.*")) < 2e6
    (published / "left_over.txt").touch()
    publish.run(copied / "results" / "smoke")
    assert not (published / "left_over.txt").exists(), "a new copy replaces the old one whole"


def test_snakemake_makes_its_own_report(finished: Path, tmp_path: Path) -> None:
    page = tmp_path / "snakemake.html"
    done = snakemake(finished, "--configfile", "configs/smoke.yaml", "--report", str(page))
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    for words in (
        "quality_vs_nfe.svg",
        "Every cell starts from the same noise",
        "the sampler that was best on the other seeds and other noise",
        "Figures",
        "Tables",
    ):
        assert words in text


# --- what would run again ---------------------------------------------------------------------


def test_nothing_is_done_twice(finished: Path) -> None:
    assert planned(finished) == set()


def test_a_config_with_one_formulation_plans_one(
    finished: Path, smoke: Callable[..., Path]
) -> None:
    """Snakemake merges configs: the default experiment must not be merged into this one."""

    def one(config: dict[str, Any]) -> None:
        config.update(name="one", formulations={"flow_matching": {}}, seeds=[7])
        config["datasets"].pop("digits")
        config["budget"]["amount"].pop("digits")

    assert planned(finished, smoke(one)) == COLLECTING | {
        "prepare: the data set mixture2d",
        "train: flow_matching on mixture2d, stage train, seeds 7",
        "sweep: flow_matching on mixture2d, seeds 7",
        "floor: real data against real data, and baselines, on mixture2d",
        "oracle: the exact field on mixture2d",
        "timing: seconds a sample on mixture2d, alone",
    }


def test_a_new_rate_retrains_its_model_and_nothing_else(
    finished: Path, smoke: Callable[..., Path]
) -> None:
    def change(config: dict[str, Any]) -> None:
        labels = config["formulations"]
        rates = {name: dict.fromkeys(labels, 2.0e-3) for name in config["datasets"]}
        rates["digits"]["flow_matching"] = 1.0e-3
        config["training"]["learning_rate"] = rates

    assert planned(finished, smoke(change)) == COLLECTING | {
        "train: flow_matching on digits, stage train, seeds 0 1 2",
        "sweep: flow_matching on digits, seeds 0 1 2",
        "timing: seconds a sample on digits, alone",
    }


def test_a_new_evaluation_count_trains_nothing(finished: Path, smoke: Callable[..., Path]) -> None:
    messages = planned(finished, smoke(lambda config: config["sweep"]["nfe"].append(16)))
    assert verbs(messages) == {"sweep", "oracle", "timing", "collect", "report", "gate"}


def test_a_new_sampled_path_measures_no_time(finished: Path, smoke: Callable[..., Path]) -> None:
    view = {"paths": ["linear", "vp"], "nfe": [4]}
    messages = planned(finished, smoke(lambda config: config.update(unified_view=view)))
    assert verbs(messages) == {"sweep", "oracle", "collect", "report", "gate"}


def test_a_new_repeat_of_timing_measures_time_only(
    finished: Path, smoke: Callable[..., Path]
) -> None:
    messages = planned(finished, smoke(lambda config: config["timing"].update(repeats=3)))
    assert verbs(messages) == {"timing", "collect", "report", "gate"}


def test_a_new_extractor_leaves_vectors_alone(finished: Path, smoke: Callable[..., Path]) -> None:
    messages = planned(finished, smoke(lambda config: config["extractor"].update(epochs=16)))
    assert verbs(messages) == {"extractor", "floor", "sweep", "collect", "report", "gate"}
    assert not any("mixture2d" in message for message in messages)


def test_a_formulation_less_trains_and_sweeps_nothing(
    finished: Path, smoke: Callable[..., Path]
) -> None:
    messages = planned(finished, smoke(lambda config: config["formulations"].pop("vp_diffusion")))
    assert verbs(messages) == {"oracle", "timing", "collect", "report", "gate"}


def test_a_comment_and_a_docstring_run_nothing(copied: Path) -> None:
    for module in (
        "models/paths/linear.py",
        "training/loop.py",
        "report/figures/__init__.py",
        "stages/gate.py",
    ):
        path = copied / "bench" / module
        text = path.read_text()
        assert text.startswith('"""')
        path.write_text('"""Another ' + text.removeprefix('"""') + "\n# A comment.\n")
    assert planned(copied) == set()


def edit(path: Path, old: str, new: str) -> None:
    """Change one place of a file."""
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def test_a_plot_draws_the_report_again_and_nothing_else(copied: Path) -> None:
    path = copied / "bench" / "report" / "style.py"
    edit(path, '"font.size": 9', '"font.size": 10')
    assert planned(copied) == REPORTING


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("report/tables/grids.py", '"Grids against the solver\'s own"', '"Grids"'),
        ("report/figures/budget.py", 'title="Budget and cost"', 'title="Cost"'),
        ("metrics/measures/modes.py", '"share of modes covered"', '"modes covered"'),
    ],
)
def test_what_a_table_a_figure_or_a_metric_is_called_makes_the_report_again(
    copied: Path, module: str, old: str, new: str
) -> None:
    edit(copied / "bench" / module, old, new)
    assert planned(copied) == REPORTING


def test_a_path_in_use_retrains_those_who_use_it(copied: Path) -> None:
    path = copied / "bench" / "models" / "paths" / "vp.py"
    edit(path, "alpha * beta / 2", "alpha * beta / 2.0")
    messages = planned(copied)
    assert {message for message in messages if message.startswith("train:")} == {
        f"train: vp_diffusion on {dataset}, stage train, seeds 0 1 2"
        for dataset in ("digits", "mixture2d")
    }


# --- the verdict ------------------------------------------------------------------------------


def spoil(root: Path, change: Callable[[Any], Any]) -> None:
    """Rewrite the records of a run."""
    path = root / "records.parquet"
    records.write(change(records.read(path)), path)


def test_a_model_that_does_not_beat_the_untrained_network_fails(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copied / "results" / "smoke"
    experiment = load(copied / "configs" / "smoke.yaml")

    def worse(table: Any) -> Any:
        mine = (table["label"] == "vp_diffusion") & (table["metric"] == "fd_digits")
        table.loc[mine & (table["train_seed"] == 1), "value"] = 1e9
        return table

    spoil(root, worse)
    with pytest.raises(
        RunError, match=r"digits vp_diffusion seed 1: fd_digits 1e\+09 does not beat"
    ):
        gate.run(experiment, Layout(root))
    assert not (root / "gate.json").exists()


@pytest.mark.parametrize("planted", ["file", "budget", "evaluations"])
def test_verify_finds_what_was_tampered_with(copied: Path, planted: str) -> None:
    root = copied / "results" / "smoke"
    stage = root / "runs" / "digits" / "flow_matching" / "seed0" / "train"
    if planted == "file":
        with (stage / "checkpoint.safetensors").open("ab") as stream:
            stream.write(b"x")
        words = "checkpoint.safetensors: not the file that was written"
    elif planted == "budget":
        ledger = json.loads((stage / "ledger.json").read_text())
        ledger["charges"]["train"]["flops"] //= 2
        (stage / "ledger.json").write_text(json.dumps(ledger))
        words = "digits flow_matching seed 0: spent"
    else:

        def one_more(table: Any) -> Any:
            table.loc[table["solver"] == "euler", "nfe"] += 1
            return table

        spoil(root, one_more)
        words = "solver=euler grid=uniform_t sampled_path=linear nfe_requested=4: spent"
    with pytest.raises(RunError, match=words):
        verify.run(root)


def test_translated_results_are_not_computed_again(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results with other digests, and a table that says what they are now."""
    root = copied / "results" / "smoke"
    new = translate.told_here(root / "config.yaml")
    old = {place: digest and f"old {digest}" for place, digest in new.items()}
    before = {path: path.read_bytes() for path in root.rglob("outcome.json")}
    translate._rewrite(root, {digest: f"old {digest}" for digest in new.values() if digest})
    assert all("old " in path.read_text() for path in before)
    monkeypatch.setattr(translate, "told_by", lambda checkout, config: old)
    outcome = root / "data" / "digits" / "outcome.json"
    honest = outcome.read_text()
    outcome.write_text(honest.replace("old ", "strange "))
    with pytest.raises(InputError, match=r"data/digits: has digest strange"):
        translate.translate(root, copied)
    outcome.write_text(honest)
    translate.translate(root, copied)
    assert {path: path.read_bytes() for path in before} == before
    snakemake(copied, "--configfile", "configs/smoke.yaml", "--touch", "--cores", "1")
    assert verbs(planned(copied)) <= {"collect", "report", "gate"}
