"""The power study: a small part of the published one, planted faults, and the tests it is made of.

The whole study is ``workflow/power.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from bench.data.mixture import GaussianMixture
from bench.data.sources import mixture2d
from bench.metrics import planted
from bench.metrics.detection import study, surprise
from bench.streams import stream

CHEAP = ("excess_nll", "mode_chi2", "off_mode_excess")
COUNT = 2388
Study = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def law() -> GaussianMixture:
    return mixture2d.mixture(mixture2d.Options())


def power_of(rows: list[dict[str, Any]]) -> Mapping[tuple[str, str], float]:
    return {(row["metric"], row["fault"]): row["power"] for row in rows if row["samples"] == COUNT}


def check_that_faults_are_found(law: GaussianMixture, run: Study = study) -> None:
    """By the pair, while exact samples pass; each alone misses what the other is for."""
    rows = run(law, "vector", counts=(COUNT,), repetitions=40, among=CHEAP, key=("test", 1))
    power = power_of(rows)
    pair = "excess_nll+mode_chi2"
    for fault in ("between", "weights", "spread", "shift", "missing"):
        assert power[pair, fault] >= 0.95, fault
    assert power["mode_chi2", "spread"] < 0.3
    assert power["mode_chi2", "shift"] < 0.3
    assert power["off_mode_excess", "weights"] < 0.3
    assert power["off_mode_excess", "missing"] < 0.3
    for row in rows:
        assert row["size"] <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 40)


def test_faults_are_found_and_exact_samples_pass(law: GaussianMixture) -> None:
    check_that_faults_are_found(law)


def test_a_seed_gives_the_same_table_again(law: GaussianMixture) -> None:
    def run(seed: int, *counts: int) -> list[dict[str, Any]]:
        faults = {"weights": planted.weights}
        return study(
            law, "vector", counts=counts, repetitions=40, among=("mode_chi2",), faults=faults,
            key=("again", seed),
        )  # fmt: skip

    assert run(0, 400) == run(0, 400)
    assert run(0, 400) != run(1, 400)


def test_numbers_of_samples_that_a_metric_is_not_tried_with_have_no_row(
    law: GaussianMixture,
) -> None:
    rows = study(
        law, "vector", counts=(100, 700), repetitions=3, among=("w2", "mode_chi2"),
        faults={"shift": planted.shift},
    )  # fmt: skip
    assert {(row["metric"], row["samples"]) for row in rows} == {
        ("w2", 100), ("mode_chi2", 100), ("mode_chi2", 700),
    }  # fmt: skip


def test_surprise_is_a_rank() -> None:
    null = np.arange(99.0)
    seen = np.array([98.5, 98.0, -1.0, 49.0])
    assert surprise(null, seen, two_sided=False).tolist() == [0.01, 0.02, 1.0, 0.51]
    assert surprise(null, seen, two_sided=True).tolist() == [0.02, 0.04, 0.02, 1.0]


def mass(law: GaussianMixture, x: torch.Tensor) -> torch.Tensor:
    return law.responsibilities(x).mean(dim=0)


def test_weights_are_off_by_what_they_say(law: GaussianMixture) -> None:
    count = 100_000
    moved = mass(law, planted.weights(law, count, stream("moved")))
    assert (moved - law.weights).abs().sum() / 2 == pytest.approx(0.05, abs=0.005)
    relative = mass(law, planted.weights_relative(law, count, stream("relative"))) / law.weights
    assert relative[1::2].mean() / relative[::2].mean() == pytest.approx(1.05 / 0.95, rel=0.02)
    assert mass(law, planted.missing(law, count, stream("missing"))).min() < 1e-3


def test_modes_are_moved_and_widened_by_what_they_say(law: GaussianMixture) -> None:
    count = 50_000
    moved = planted.shift(law, count, stream("shift")).mean(dim=0)
    assert moved.norm() == pytest.approx(0.05, abs=0.01)
    wide = planted.spread(law, count, stream("spread"))
    residual = wide - law.means[law.responsibilities(wide).argmax(dim=1)]
    assert residual.std() == pytest.approx(0.12, rel=0.01)


@pytest.mark.parametrize("half", [slice(0, 20_000), slice(20_000, None)])
def test_one_in_twenty_lies_between_modes(law: GaussianMixture, half: slice) -> None:
    """All through the draw, for studies look at its first samples."""
    x = planted.between(law, 40_000, stream("between"))[half]
    exact = law.sample(40_000, stream("between"))[half]
    moved = (x != exact).any(dim=1)
    assert moved.double().mean().item() == pytest.approx(0.05, abs=0.006)
    gaps = torch.cdist(exact[moved], law.means).amin(dim=1)
    assert torch.cdist(x[moved], law.means).amin(dim=1).mean() > 2 * gaps.mean()


PUBLISHED = Path(__file__).parents[2] / "results" / "reference" / "power" / "power.csv"


@pytest.mark.parametrize("dataset", ["mixture2d", "digits_mixture"])
def test_the_published_pair_misses_no_fault(dataset: str) -> None:
    table = pd.read_csv(PUBLISHED)
    pair = table[(table["dataset"] == dataset) & (table["metric"] == "mmd_modes+excess_nll")]
    rows = pair[pair["samples"] == 4776].set_index("fault")
    asked = ["between", "weights", "spread", "shift", "missing"]
    assert (rows.loc[asked, "power"] >= 0.95).all()
    error = math.sqrt(0.05 * 0.95 / rows["repetitions"].min())
    assert (rows["size"] <= 0.05 + 3 * error).all()
