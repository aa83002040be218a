"""prepare, extractor and floor, one after the other as in an experiment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.data.dataset import DataSet
from bench.data.files import load
from bench.errors import InputError
from bench.evidence import records
from bench.experiment.layout import Layout
from bench.experiment.loading import from_mapping
from bench.experiment.spec import Experiment
from bench.files import read_json, sha256
from bench.metrics.declared import directions
from bench.stages import extractor, floor, prepare
from bench.stages.running.assembly import references

LABELS = ["floor.train", "floor.gaussian", "floor.untrained"]
REPEATS, RANKED = 4, 7


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    mapping: dict[str, Any] = {
        "name": "floor-test",
        "datasets": {"digits": {}, "mixture2d": {"options": {"train": 3000, "held_out": 1800}}},
        "formulations": {"flow_matching": {}},
        "budget": {"amount": {"digits": 1.0e12, "mixture2d": 1.0e12}},
        "metrics": {"floor_repeats": REPEATS, "floor_repeats_ranked": RANKED},
    }
    return from_mapping(mapping, "test")


@pytest.fixture(scope="module")
def layout(experiment: Experiment, tmp_path_factory: pytest.TempPathFactory) -> Layout:
    layout = Layout(tmp_path_factory.mktemp("results"))
    for name in experiment.datasets:
        assert prepare.run(experiment, layout, dataset=name)["status"] == "ok"
    assert extractor.run(experiment, layout, dataset="digits")["status"] == "ok"
    for name in experiment.datasets:
        assert floor.run(experiment, layout, dataset=name)["status"] == "ok"
    return layout


def test_prepare_describes_what_it_wrote(experiment: Experiment, layout: Layout) -> None:
    outcome = read_json(layout.data("mixture2d") / "outcome.json")
    data = load(layout.data("mixture2d"))
    assert (
        (outcome["train"], outcome["held_out"])
        == (3000, 1800)
        == tuple(map(len, (data.train, data.held_out)))
    )
    assert outcome["sigma_data"] == data.sigma_data
    assert outcome["sha256"] == sha256(layout.data("mixture2d") / "data.safetensors")


def test_the_extractors_accuracy_and_checksum_are_in_its_outcome(layout: Layout) -> None:
    outcome = read_json(layout.extractor("digits") / "outcome.json")
    assert outcome["accuracy"] > 0.96
    assert outcome["files"] == {"extractor.safetensors": sha256(layout.extractor_weights("digits"))}
    assert outcome["seconds"]["training"] > 0


def test_a_data_set_without_extractor_has_none_to_train(
    experiment: Experiment, layout: Layout
) -> None:
    with pytest.raises(InputError, match="'mixture2d' has no feature extractor"):
        extractor.run(experiment, layout, dataset="mixture2d")


@pytest.mark.parametrize("dataset", ["digits", "mixture2d"])
def test_every_metric_has_a_floor_and_baselines(
    experiment: Experiment, layout: Layout, dataset: str
) -> None:
    table = records.read(layout.floor(dataset) / "floor.parquet")
    expected = set(directions(experiment.described(dataset))) - {"endpoint_rmse", "total_rmse"}
    for label in ("floor.gaussian", "floor.untrained", "floor.copies"):
        assert set(table.loc[table["label"] == label, "metric"]) == expected
    real = table[table["label"] == "floor.train"]
    looking = {"memorisation", "authenticity", "fd_digits_full"} if dataset == "digits" else set()
    assert set(real["metric"]) == expected - looking
    assert "train" not in set(real["reference_set"].dropna())
    held_out = table[table["label"] == "floor.held_out"]
    assert set(held_out["metric"]) == looking - {"fd_digits_full"}
    for label in {"floor.train", "floor.copies", *held_out["label"]}:
        drawn = table[table["label"] == label]
        primary = experiment.described(dataset).primary
        more = RANKED if (label, dataset) == ("floor.train", "mixture2d") else REPEATS
        draws = drawn.groupby(["metric", "reference_set"], dropna=False).size()
        assert (draws.drop(primary, errors="ignore") == REPEATS).all()
        assert (draws[draws.index.get_level_values("metric") == primary] == more).all()
        assert set(drawn["replicate"]) == set(range(more))
    assert (table["status"] == "ok").all()
    assert (table["dataset"] == dataset).all()


@pytest.mark.parametrize(("dataset", "primary"), [("digits", "fd_digits"), ("mixture2d", "w2")])
def test_real_data_beats_the_gaussian_and_that_the_untrained_network(
    layout: Layout, dataset: str, primary: str
) -> None:
    table = records.read(layout.floor(dataset) / "floor.parquet")
    rows = table[(table["metric"] == primary) & (table["reference_set"] == "held_out")]
    real, gaussian, untrained = rows.groupby("label")["value"].mean()[LABELS]
    assert 2 * real < gaussian < untrained
    assert (rows["n_reference"] == 597).all()
    draws = rows[rows["label"] == "floor.train"]["value"]
    assert draws.nunique() == {"digits": REPEATS, "mixture2d": RANKED}[dataset]


def test_copies_and_held_out_images_are_told_apart(layout: Layout) -> None:
    """A perfect copier memorises all and is authentic in nothing; held-out images are neither."""
    table = records.read(layout.floor("digits") / "floor.parquet")
    means = table.groupby(["label", "metric"])["value"].mean()
    assert means["floor.copies", "memorisation"] > 0.99
    assert means["floor.copies", "authenticity"] == 0
    assert means["floor.held_out", "memorisation"] == pytest.approx(0.5, abs=0.06)
    assert means["floor.held_out", "authenticity"] == pytest.approx(0.56, abs=0.05)


def test_real_samples_are_as_many_as_a_model_is_scored_on_and_new_each_time(
    layout: Layout,
) -> None:
    """Of a law that can be drawn from, none is a training sample; of images, parts of them."""
    sampled = load(layout.data("mixture2d"))
    first, second = (floor.real_samples(sampled, 1194, 597, i) for i in range(2))
    assert len(first) == len(second) == 1194
    training = {tuple(row) for row in sampled.train.tolist()}
    assert not training & {tuple(row) for row in torch.cat([first, second]).tolist()}
    torch.testing.assert_close(first, floor.real_samples(sampled, 1194, 597, 0), rtol=0, atol=0)
    images = load(layout.data("digits"))
    half = floor.real_samples(images, 10_000, 597, 0)
    assert len(half) == len(images.train) // 597 * 597


def test_the_gaussian_has_the_moments_of_the_training_data(layout: Layout) -> None:
    data = load(layout.data("digits"))
    drawn = floor.fitted_gaussian(data, 20_000)
    assert drawn.shape == (20_000, 1, 8, 8)
    flat, real = drawn.flatten(1), data.train.flatten(1)
    torch.testing.assert_close(flat.mean(0), real.mean(0), rtol=0, atol=0.03)
    torch.testing.assert_close(flat.T.cov(), real.T.cov(), rtol=0, atol=0.03)


def test_finished_work_is_not_done_again(
    experiment: Experiment, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(floor, "evaluate", forbidden)
    before = read_json(layout.floor("digits") / "outcome.json")
    assert floor.run(experiment, layout, dataset="digits") == before


def test_a_floor_without_data_fails_with_its_reason(experiment: Experiment, tmp_path: Path) -> None:
    outcome = floor.run(experiment, Layout(tmp_path), dataset="digits")
    assert outcome["status"] == "failed"
    assert "upstream data has not run" in outcome["error"]


def test_without_an_end_every_block_meets_one_of_its_own(
    unlimited_data: Callable[[str], DataSet], tmp_path: Path
) -> None:
    """Although the file holds fewer real samples than are scored, or than a block."""
    mapping: dict[str, Any] = {
        "name": "endless-test",
        "datasets": {"mixture2d": {"options": {"train": "unlimited", "held_out": 600}}},
        "formulations": {"flow_matching": {}},
        "budget": {"amount": {"mixture2d": 1.0e12}},
        "sweep": {"samples": {"scoring": 2100, "selection": 700}, "block": 700},
    }
    one = from_mapping(mapping, "test")
    real = references(one, Layout(tmp_path), unlimited_data("mixture2d"))
    assert len(real.blocks("held_out")) == len(real.blocks("train")) == 3
    assert real.unlimited
    first = next(floor.baselines(one, real, torch.device("cpu")))
    assert len(first.samples) == 2100
    labels = {b.label for b in floor.baselines(one, real, torch.device("cpu"))}
    assert "floor.copies" not in labels, "there is nothing to copy"
