"""What a run needs and cannot make is asked for before it starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.errors import InputError
from bench.experiment.layout import Layout
from bench.experiment.loading import from_mapping
from bench.experiment.prerequisites import check
from bench.experiment.reading import read_mapping
from bench.experiment.spec import Experiment

ROOT = Path(__file__).parents[2]


def looked_at_by(extractor: str, **options: Any) -> Experiment:
    """An experiment on images of one's own."""
    told = {"path": "images.npz", "size": 32, "extractor": extractor, **options}
    mapping = read_mapping(ROOT / "configs" / "cifar10.yaml") | {
        "datasets": {"images": {"options": told, "network": {"kind": "unet"}}},
    }
    mapping["budget"]["amount"] = {"images": 28800}
    if extractor == "inception":
        mapping["extractor"] = {"weights": "~/nowhere.pth"}
    return from_mapping(mapping, "images.yaml")


@pytest.mark.parametrize(
    ("extractor", "words"),
    [
        ("inception", ["nowhere.pth", "SHA-256 begins with", "extractor.weights"]),
        ("cifar10", ["'cifar10'", "give classes"]),
        ("random_conv", ["'random_conv'", "name one that is trained"]),
    ],
)
def test_what_is_missing_is_named(extractor: str, words: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        check(looked_at_by(extractor), Layout(tmp_path))
    assert all(word in str(refused.value) for word in words), refused.value
    assert "~" not in str(refused.value)


def test_what_is_there_or_can_be_trained_is_no_reason_to_stop(tmp_path: Path) -> None:
    check(looked_at_by("efficientnet_lite0"), Layout(tmp_path))
    check(looked_at_by("cifar10", classes=10), Layout(tmp_path))
    ready = Layout(tmp_path).extractor_weights("images")
    ready.parent.mkdir(parents=True)
    ready.touch()
    check(looked_at_by("inception"), Layout(tmp_path))


def test_the_workflow_itself_stops_before_anything_is_made(tmp_path: Path) -> None:
    config = tmp_path / "own.yaml"
    text = (ROOT / "configs" / "cifar10.yaml").read_text()
    config.write_text(f"{text}\nextractor: {{weights: nowhere.pth}}\n")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
            *("--configfile", str(config), "--cores", "1", "--quiet", "all"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("nowhere.pth") == 1
    assert not (tmp_path / "results").exists()
