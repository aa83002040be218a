"""The verdict on a run: what fails it, what is only said, and what is never said twice."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.errors import InputError, RunError
from bench.evidence import records
from bench.experiment.graph import nodes
from bench.experiment.layout import ACCELERATION, OUTCOME, Layout
from bench.experiment.loading import from_mapping
from bench.experiment.spec import Experiment
from bench.files import read_json, write_json
from bench.stages import clean, gate, publish, verify


def experiment(**changes: Any) -> Experiment:
    values: dict[str, Any] = {
        "name": "verdict",
        "datasets": {"mixture2d": {}},
        "formulations": {"flow_matching": {}, "consistency_distillation": {}},
        "seeds": [0, 1],
        "budget": {"amount": {"mixture2d": 1e12}},
    }
    return from_mapping(values | changes, "test")


def rows(label: str, values: list[float], **columns: Any) -> list[dict[str, Any]]:
    return [
        {
            "dataset": "mixture2d",
            "label": label,
            "train_seed": None if label.startswith("floor") else seed,
            "stage": f"block {seed}" if label.startswith("floor") else None,
            "noise_bank": "scoring",
            "metric": "w2",
            "reference_set": "held_out",
            "value": value,
            **columns,
        }
        for seed, value in enumerate(values)
    ]


FLOOR = [*rows("floor.untrained", [2.0]), *rows("floor.gaussian", [1.0])]


def table(*more: dict[str, Any]) -> pd.DataFrame:
    return records.frame([*FLOOR, *more])


def finish(one: Experiment, layout: Layout, frame: pd.DataFrame) -> None:
    """Leave the outcomes and records of a run in which every stage succeeded."""
    for node in nodes(one):
        write_json(node.folder(layout) / OUTCOME, {"status": "ok", "error": None, "files": {}})
    records.write(frame, layout.root / "records.parquet")


def test_a_sound_run_gets_its_certificate(tmp_path: Path) -> None:
    one, layout = experiment(), Layout(tmp_path)
    finish(one, layout, table(*rows("flow_matching", [0.5, 0.6])))
    gate.run(one, layout)
    passed = read_json(tmp_path / "gate.json")
    assert passed == {"experiment": "verdict", "config_digest": one.digest, "notes": []}


def test_losing_to_the_gaussian_is_said_and_no_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, layout = experiment(), Layout(tmp_path)
    finish(one, layout, table(*rows("flow_matching", [1.2, 1.4])))
    gate.run(one, layout)
    said = "mixture2d flow_matching: w2 1.3 loses to the fitted Gaussian's 1"
    assert said in capsys.readouterr().err
    assert read_json(tmp_path / "gate.json")["notes"] == [said]


def test_a_seed_that_does_not_beat_the_untrained_network_fails() -> None:
    lost, _ = gate.quality(table(*rows("flow_matching", [0.5, 2.0])), "mixture2d", "w2")
    (line,) = lost
    assert "flow_matching seed 1" in line


def test_the_best_cell_of_a_model_counts() -> None:
    good = rows("flow_matching", [0.5, 0.5], solver="heun2")
    bad = rows("flow_matching", [9.0, 9.0], solver="euler")
    assert gate.quality(table(*good, *bad), "mixture2d", "w2") == ([], [])


@pytest.mark.parametrize(
    "columns", [{"reference_set": "train"}, {"noise_bank": "selection"}, {"status": "refused"}]
)
def test_only_scored_values_against_held_out_data_count(columns: dict[str, Any]) -> None:
    misleading = rows("flow_matching", [0.1], solver="ddim", **columns)
    honest = rows("flow_matching", [3.0])
    lost, _ = gate.quality(table(*misleading, *honest), "mixture2d", "w2")
    assert len(lost) == 1


def test_a_grid_of_rates_may_hold_bad_ones() -> None:
    good, bad = rows("flow_matching@0.001", [0.5]), rows("flow_matching@1", [9.0])
    assert gate.quality(table(*good, *bad), "mixture2d", "w2") == ([], [])
    lost, _ = gate.quality(table(*bad), "mixture2d", "w2")
    assert len(lost) == 1


def test_a_missing_floor_fails() -> None:
    lost, _ = gate.quality(records.frame(rows("flow_matching", [0.5])), "mixture2d", "w2")
    assert lost == ["mixture2d: the floor has no w2"]


def test_a_failure_is_named_once_and_not_for_what_it_took_down(tmp_path: Path) -> None:
    one, layout = experiment(seeds=[0]), Layout(tmp_path)
    finish(one, layout, table())
    teacher = layout.stage("mixture2d", "consistency_distillation", 0, "teacher")
    write_json(teacher / OUTCOME, {"status": "failed", "error": "RuntimeError: boom"})
    for folder in (teacher.parent / "distill", teacher.parent / "sweep"):
        error = "upstream teacher failed: RuntimeError: boom"
        write_json(folder / OUTCOME, {"status": "failed", "error": error})
    (tmp_path / "gate.json").touch()
    with pytest.raises(RunError) as failure:
        gate.run(one, layout)
    assert str(failure.value).splitlines()[1:] == [
        "runs/mixture2d/consistency_distillation/seed0/teacher: RuntimeError: boom"
    ]
    assert not (tmp_path / "gate.json").exists(), "an old certificate does not outlive a failure"


def test_a_failed_cell_fails() -> None:
    failed = rows("flow_matching", [0.0], solver="euler", nfe_requested=4, status="failed")
    (line,) = gate.failed_cells(table({**failed[0], "value": None, "error": "boom"}))
    assert line.startswith("cell dataset=mixture2d label=flow_matching train_seed=0")
    assert line.endswith("solver=euler nfe_requested=4: boom")


def test_an_unfinished_run_is_not_published(tmp_path: Path) -> None:
    one, layout = experiment(), Layout(tmp_path)
    finish(one, layout, table(*rows("flow_matching", [0.5, 0.6])))
    one.save(layout.config)
    with pytest.raises(InputError, match=r"no gate\.json"):
        publish.run(tmp_path)
    gate.run(experiment(seeds=[0]), layout)
    with pytest.raises(InputError, match=r"no gate\.json of this configuration"):
        publish.run(tmp_path)


def test_clean_removes_what_is_not_named_and_keeps_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    layout = Layout(Path("results/verdict"))
    finish(experiment(), layout, table())
    fewer = experiment(formulations={"flow_matching": {}})
    gone = layout.root / "runs" / "mixture2d" / "consistency_distillation"
    clean.run(fewer, layout, dry_run=True)
    assert gone.exists()
    assert f"would remove {gone}/seed0/teacher" in capsys.readouterr().err
    clean.run(fewer, layout, dry_run=False)
    assert not gone.exists()
    assert all((node.folder(layout) / OUTCOME).exists() for node in nodes(fewer))


def test_clean_removes_what_is_no_longer_asked_for_of_every_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    layout = Layout(Path("results/verdict"))
    seconds = {"unit": "device_seconds", "amount": {"mixture2d": 1}}
    finish(experiment(convergence={}, likelihood={}, budget=seconds), layout, table())
    clean.run(experiment(), layout, dry_run=False)
    left = {path.parent for path in layout.root.rglob(OUTCOME)}
    assert left == {node.folder(layout) for node in nodes(experiment())}
    assert not layout.convergence().exists()


def test_clean_removes_choices_of_how_to_run_that_nothing_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured on a GPU, kept beside the stages: of labels, stages and data sets alike."""
    monkeypatch.chdir(tmp_path)
    layout = Layout(Path("results/verdict"))
    amount = {"amount": {"mixture2d": 1e12, "digits": 1e12}}
    for one in (experiment(), experiment(datasets={"mixture2d": {}, "digits": {}}, budget=amount)):
        for node in nodes(one):
            for file in node.choices(layout):
                write_json(file, {"on": []})
    assert layout.overlap_choice("digits").is_file()
    fewer = experiment(formulations={"flow_matching": {}})
    clean.run(fewer, layout, dry_run=False)
    assert {path.parent for path in layout.root.rglob(ACCELERATION)} == {
        layout.acceleration("mixture2d", "flow_matching", "train").parent,
        layout.sampling_choice("mixture2d", "flow_matching").parent,
        layout.overlap_choice("mixture2d").parent,
    }


def test_clean_leaves_as_many_features_as_the_data_sets_can_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    layout = Layout(Path("results/verdict"))
    layout.features.mkdir(parents=True)
    for age, name in enumerate("abcdef"):
        (layout.features / name).touch()
        os.utime(layout.features / name, (1e9 - age, 1e9 - age))
    amount = {"amount": {"mixture2d": 1e12, "digits": 1e12}}
    with_digits = experiment(datasets={"mixture2d": {}, "digits": {}}, budget=amount)
    clean.run(with_digits, layout, dry_run=True)
    assert len(list(layout.features.iterdir())) == 6
    clean.run(with_digits, layout, dry_run=False)
    assert {path.name for path in layout.features.iterdir()} == {*"abcd"}, "the newest stay"
    clean.run(experiment(), layout, dry_run=False)
    assert not layout.features.exists(), "vectors have no features"


def test_a_run_of_which_stages_are_missing_is_published_as_such(tmp_path: Path) -> None:
    one, layout = experiment(), Layout(tmp_path / "results" / "verdict")
    finish(one, layout, table(*rows("flow_matching", [0.5, 0.6])))
    one.save(layout.config)
    missing = layout.sweep("mixture2d", "flow_matching", 1)
    (missing / OUTCOME).unlink()
    with pytest.raises(RunError, match="has not run"):
        gate.run(one, layout)
    with pytest.raises(InputError, match=r"no gate\.json"):
        publish.run(layout.root)
    publish.run(layout.root, unfinished=True)
    target = tmp_path / "results" / "reference" / one.name
    place = str(missing.relative_to(layout.root))
    assert read_json(target / verify.UNFINISHED) == {"has not run": [place]}
    verify.run(target)
    (target / verify.UNFINISHED).unlink()
    with pytest.raises(RunError, match="no ledger"):
        verify.run(target)


def test_a_failed_run_is_not_published_as_unfinished(tmp_path: Path) -> None:
    one, layout = experiment(), Layout(tmp_path / "results" / "verdict")
    finish(one, layout, table(*rows("flow_matching", [0.5, 0.6])))
    one.save(layout.config)
    (layout.sweep("mixture2d", "flow_matching", 1) / OUTCOME).unlink()
    failed = layout.sweep("mixture2d", "flow_matching", 0)
    write_json(failed / OUTCOME, {"status": "failed", "error": "RuntimeError: boom"})
    with pytest.raises(RunError, match="boom"):
        publish.run(layout.root, unfinished=True)
    assert not (tmp_path / "results" / "reference").exists()
