"""Joining: finished runs side by side, from what is published of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from bench import cli
from bench.errors import InputError
from bench.evidence import manifest as manifests
from bench.evidence import records
from bench.experiment.layout import Layout
from bench.experiment.loading import from_mapping
from bench.files import read_json, write_json
from bench.report import TABLE_SUFFIXES, TABLES
from bench.report.study import Study
from bench.report.svg import data_uri
from bench.report.tables import build_all
from bench.stages import collect, join
from tests import synthetic


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    experiment = synthetic.experiment(
        seeds=[0, 1],
        sweep={"nfe": [1, 2, 4], "tolerances": [1e-3]},
        formulations=dict.fromkeys(("flow_matching", "consistency_training")),
    )
    root = synthetic.write_run(experiment, tmp_path_factory.mktemp("results") / "synthetic")
    collect.run(experiment, Layout(root))
    return root


def published(run: Path, target: Path, name: str) -> Path:
    """What ``publish`` keeps of a run, under another name."""
    shutil.copytree(run, target, ignore=shutil.ignore_patterns("runs", "data", "floor", "timing"))
    table = records.read(run / "records.parquet")
    records.write(table.assign(experiment=name), target / "records.parquet")
    found = read_json(run / "manifest.json")
    write_json(
        target / "manifest.json",
        found | {"experiment": name, "config": found["config"] | {"name": name}},
    )
    return target


def test_joined_runs_stay_apart_by_name(run: Path, tmp_path: Path) -> None:
    sources = [published(run, tmp_path / name, name) for name in ("all_in", "marginal")]
    asked = ["--from", *map(str, sources), "--to", str(tmp_path / "joined")]
    assert cli.main(["join", *asked]) == 0
    table = records.read(tmp_path / "joined" / "records.parquet")
    assert len(table) == 2 * len(records.read(run / "records.parquet"))
    study = Study.read(tmp_path / "joined")
    assert [p.title for p in study.panels] == [
        "2-D mixture (all_in)", "Digits 8x8 (all_in)",
        "2-D mixture (marginal)", "Digits 8x8 (marginal)",
    ]  # fmt: skip
    text = (tmp_path / "joined" / "report.html").read_text()
    assert "all_in and marginal" in text
    one, other = (
        study.curve(panel, "flow_matching", study.selected)[4]
        for panel in study.panels
        if panel.dataset == "digits"
    )
    assert one == other


def test_a_published_run_can_be_rebuilt_with_its_drawings(run: Path, tmp_path: Path) -> None:
    source = published(run, tmp_path / "published", "synthetic")
    drawing = data_uri("<svg>\n<title>kept</title>\n</svg>")
    (source / "report.html").write_text(f'<img id="figure-samples" src="{drawing}" alt="">')
    join.join([source], tmp_path / "again")
    kept = list((tmp_path / "again" / "figures").iterdir())
    assert [path.name for path in kept] == ["samples.svg"]
    assert kept[0].read_text() == "<svg> <title>kept</title> </svg>\n"
    pd.testing.assert_frame_equal(
        records.read(tmp_path / "again" / "records.parquet"),
        records.read(source / "records.parquet"),
    )


def foreign_run(target: Path) -> Path:
    """A run of a network of somebody else: no formulation, no budget."""
    model = {
        "factories": ["hers:flow"], "states": ["0" * 16], "path": "linear",
        "prediction": "velocity",
    }  # fmt: skip
    mapping = {
        "name": "hers",
        "datasets": {"mixture2d": None},
        "models": {"perfect": model},
        "seeds": [0],
        "sweep": {"nfe": [1, 2, 4], "tolerances": [1e-3]},
    }
    experiment, root = from_mapping(mapping, "hers.yaml"), Layout(target)
    base = {
        "experiment": "hers", "dataset": "mixture2d", "label": "perfect", "formulation": "foreign",
        "stage": "model", "train_seed": 0, "sampler": "ode", "trained_path": "linear",
        "sampled_path": "linear", "solver": "euler", "grid": "uniform_t", "metric": "w2",
        "reference_set": "held_out", "n_samples": 597,
    }  # fmt: skip
    rows = [
        base | {"noise_bank": bank, "nfe": nfe, "nfe_requested": nfe, "value": 0.1 + 0.2 / nfe}
        for nfe in (1, 2, 4)
        for bank in ("scoring", "selection")
    ]
    collect.write(records.frame(rows), target)
    manifest = manifests.manifest(experiment, root.root, ["bench", "bring"])
    write_json(target / manifests.MANIFEST, manifest)
    return target


@pytest.mark.parametrize("trained_first", [True, False])
def test_a_trained_run_and_a_foreign_model_stand_in_one_table(
    run: Path, tmp_path: Path, trained_first: bool
) -> None:
    sources = [run, foreign_run(tmp_path / "hers")]
    ordered = sources if trained_first else sources[::-1]
    target = tmp_path / "joined"
    assert cli.main(["collect", "--from", *map(str, ordered), "--to", str(target)]) == 0
    summary = pd.read_csv(target / "tables" / "summary.csv")
    assert set(summary["label"]) == {"flow_matching", "consistency_training", "perfect"}
    budget = (target / "tables" / "budget.md").read_text()
    assert "| Perfect | trained elsewhere: not known |" in budget
    assert "| Flow matching | train |" in budget
    drawing = (target / "figures" / "budget.svg").read_text()
    assert "trained elsewhere: not known" in drawing
    page = (target / "report.html").read_text()
    assert "Perfect: their network, their training data" in page


def test_an_accounting_is_told_of_what_was_trained_alone(run: Path, tmp_path: Path) -> None:
    captions = []
    for name, source in (("trained", run), ("hers", foreign_run(tmp_path / "source"))):
        join.join([source], tmp_path / name)
        captions.append(build_all(Study.read(tmp_path / name))["budget"].caption)
    assert ["all-in" in caption for caption in captions] == [True, False]


def test_runs_that_cannot_be_joined(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no records\.parquet"):
        join.join([tmp_path], tmp_path / "joined")
    with pytest.raises(InputError, match="named 'synthetic'"):
        join.join([run, run], tmp_path / "joined")


def test_all_tables_are_rebuilt_from_records_and_manifest_alone(run: Path, tmp_path: Path) -> None:
    """No checkpoint, ledger, sample or configuration file of the run is read."""
    source = tmp_path / "alone"
    source.mkdir()
    for name in ("records.parquet", "manifest.json"):
        shutil.copyfile(run / name, source / name)
    join.run(sources=[source], target=tmp_path / "again")
    for table in build_all(Study.read(run)).values():
        table.write(tmp_path / "first")
        for suffix in TABLE_SUFFIXES:
            name = f"{table.name}.{suffix}"
            again = (tmp_path / "again" / "tables" / name).read_text(encoding="utf-8")
            assert again == (tmp_path / "first" / name).read_text(encoding="utf-8"), name
    assert {path.stem for path in (tmp_path / "first").iterdir()} == set(TABLES)
    assert (tmp_path / "again" / "report.html").is_file()
