"""A run with screened samplers, through the workflow: a formulation, two seeds, every grid."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.experiment.graph import nodes
from bench.experiment.layout import Layout
from bench.experiment.loading import load
from bench.report.study import Study
from bench.stages import verify
from bench.stages.running.outcome import read_outcome
from tests.checkouts import copy_checkout

SCREENED: dict[str, Any] = {
    "name": "screened",
    "datasets": {"mixture2d": {"network": {"width": 16, "depth": 1, "embedding": 8}}},
    "formulations": {"vp_diffusion": {}},
    "seeds": [0, 1],
    "budget": {"amount": {"mixture2d": 1.0e9}},
    "training": {"seeds_per_job": 1},
    "sweep": {
        "solvers": ["euler", "ddim", "dopri5"],
        "grids": "all",
        "nfe": [1, 4, 32],
        "tolerances": [1.0e-1],
        "samples": {"scoring": 400, "selection": 200},
        "block": 200,
        "batch_size": 200,
        "reference_samples": 200,
        "reference_tolerance": 1.0e-3,
        "screen": {"best": 1},
    },
    "metrics": {"kid_subset_size": 100, "floor_repeats": 4},
    "timing": {"repeats": 1},
}


def snakemake(checkout: Path, *options: str) -> str:
    command = [sys.executable, "-m", "snakemake", "--configfile", "screened.yaml", *options]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def planned(checkout: Path) -> set[str]:
    said = snakemake(checkout, "-n", "--quiet", "host", "reason")
    return set(re.findall(r"^Job \d+: (.*)$", said, re.MULTILINE))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_checkout(tmp_path_factory.mktemp("screened"))
    (folder / "screened.yaml").write_text(yaml.safe_dump(SCREENED))
    return folder


def test_a_screen_is_a_job_of_its_own_before_the_sweeps(checkout: Path) -> None:
    said = planned(checkout)
    for verb in ("screen", "sweep"):
        assert {message for message in said if message.startswith(f"{verb}:")} == {
            f"{verb}: {label} on mixture2d, seeds {seed}"
            for label in SCREENED["formulations"]
            for seed in SCREENED["seeds"]
        }


def test_a_run_screens_scores_the_best_and_is_sound(checkout: Path) -> None:
    snakemake(checkout, "-c", "2", "--quiet", "all")
    root = checkout / "results" / "screened"
    experiment, layout = load(checkout / "screened.yaml"), Layout(root)
    for node in nodes(experiment):
        outcome = read_outcome(node.folder(layout))
        assert outcome is not None and outcome["status"] == "ok", node
    assert (root / "gate.json").exists()
    verify.run(root)
    study = Study.read(root)
    assert study.selected["value"].notna().all()
    assert len(study.selected) == 2 * 3
    scored = study.cells[study.cells["noise_bank"] == "scoring"]
    screened = study.cells[study.cells["noise_bank"] == "selection"]
    # At most the best one and the common one at each number of evaluations.
    assert scored.groupby(["label", "train_seed", "nfe_requested"]).size().max() <= 2
    assert len(screened) > 5 * len(scored)
    assert planned(checkout) == set()
    # One evaluation count more is screened and swept, and trains nothing.
    more = {**SCREENED, "sweep": {**SCREENED["sweep"], "nfe": [1, 4, 8, 32]}}
    (checkout / "screened.yaml").write_text(yaml.safe_dump(more))
    verbs = {message.split(":")[0] for message in planned(checkout)}
    assert verbs == {"screen", "sweep", "oracle", "timing", "collect", "report", "gate"}
