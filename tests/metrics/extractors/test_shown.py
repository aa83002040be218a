"""What an extractor is trained on: where training is unlimited, samples of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.data.dataset import DataSet
from bench.experiment.layout import Layout
from bench.experiment.loading import from_mapping
from bench.files import read_json
from bench.metrics.extractors import shown
from bench.stages import extractor, prepare
from tests import sources


def letters(held_out: int) -> DataSet:
    return sources.build("letters", held_out=held_out, size=8)


def among(some: Tensor, others: Tensor) -> int:
    """How many samples are among others, bit for bit."""
    known = {row.numpy().tobytes() for row in others}
    return sum(row.numpy().tobytes() in known for row in some)


def test_samples_of_its_own_do_not_depend_on_those_that_are_kept() -> None:
    few, many = letters(100), letters(1500)
    seen, same = shown(few, 1200), shown(many, 1200)
    assert seen.train_labels is not None
    assert same.train_labels is not None
    assert len(seen.train) == len(seen.train_labels) == 1200
    assert torch.equal(seen.train, same.train)
    assert torch.equal(seen.train_labels, same.train_labels)
    assert among(seen.train, many.train) == among(seen.train, many.held_out) == 0
    assert torch.equal(seen.held_out, few.held_out)
    assert torch.equal(shown(few, 300).train, seen.train[:300])


def test_a_finite_training_set_is_shown_as_it_is() -> None:
    finite = sources.build("letters", train=64, held_out=32, size=8)
    assert shown(finite, 1000) is finite


def test_accuracy_does_not_hang_on_what_is_held_out(tmp_path: Path) -> None:
    mapping: dict[str, Any] = {
        "name": "own",
        "datasets": {"letters": {"options": {"held_out": 200, "classes": 4}}},
        "formulations": {"flow_matching": {}},
        "budget": {"amount": {"letters": 1.0e12}},
        "extractor": {"epochs": 2, "batch_size": 50, "samples": 4000},
        "sweep": {"block": 100, "samples": {"scoring": 100, "selection": 100}},
        "metrics": {"kid_subset_size": 50},
    }
    experiment, layout = from_mapping(mapping, "test"), Layout(tmp_path)
    assert prepare.run(experiment, layout, dataset="letters")["status"] == "ok"
    assert extractor.run(experiment, layout, dataset="letters")["status"] == "ok"
    outcome = read_json(layout.extractor("letters") / "outcome.json")
    assert outcome["accuracy"] > 0.9
    quarter = 4000 * outcome["accuracy_train"]
    assert abs(quarter - round(quarter)) < 1e-3
