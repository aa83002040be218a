"""Statistics against hand-worked answers and simulated coverage."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench import records
from bench.statistics import (
    exact_cells,
    fixed_sampler,
    interval,
    nfe_to_quality,
    paired_ratio,
    quality_targets,
    select_samplers,
    student_t,
    summarise_crossings,
)

Values = dict[tuple[str, int, str], float]


def test_student_t_on_the_linear_scale_is_the_textbook_interval() -> None:
    found = student_t([1.0, 2.0, 3.0], "linear")
    half = 4.302652729911275 * 1.0 / math.sqrt(3)  # t quantile 0.975 with 2 degrees of freedom
    assert (found.estimate, found.n) == (2.0, 3)
    assert (found.low, found.high) == pytest.approx((2 - half, 2 + half))


def test_student_t_on_the_log_scale_commutes_with_powers() -> None:
    found, squared = student_t([1.0, 2.0, 4.0], "log"), student_t([1.0, 4.0, 16.0], "log")
    assert found.estimate == pytest.approx(2.0)
    assert squared.low == pytest.approx(found.low**2)
    assert squared.high == pytest.approx(found.high**2)


def test_few_values_give_no_interval() -> None:
    one, none = student_t([3.0], "log"), student_t([], "log")
    assert one.estimate == pytest.approx(3.0)
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    assert none.n == 0
    assert math.isnan(none.estimate)


def test_values_that_are_not_finite_are_left_out_and_counted_out() -> None:
    assert student_t([1.0, math.nan, math.inf, 3.0], "linear").n == 2


def test_the_log_scale_refuses_what_has_no_logarithm() -> None:
    with pytest.raises(ValueError, match="positive"):
        student_t([1.0, 0.0], "log")


@pytest.mark.parametrize(
    ("metric", "values", "scale"),
    [
        ("fd_digits", [1.0, 2.0], "log"),
        ("w2", [1.0, 2.0], "log"),
        ("kid_digits", [-0.1, 0.2], "linear"),
        ("recall_digits", [0.1, 0.2], "linear"),
        ("fd_digits", [0.0, 2.0], "linear"),
    ],
)
def test_the_scale_of_a_metric(metric: str, values: list[float], scale: str) -> None:
    assert interval(values, metric).scale == scale


@pytest.mark.parametrize("n", [3, 5, 10])
def test_intervals_cover_the_truth_as_often_as_they_say(n: int) -> None:
    """Lognormal retraining noise: 95% of 4,000 intervals, within three standard errors."""
    draws = np.random.default_rng(n).lognormal(mean=1.0, sigma=0.3, size=(4000, n))
    covered = [i.low <= math.e <= i.high for i in (student_t(row, "log") for row in draws)]
    assert np.mean(covered) == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / 4000))


def test_paired_ratio_removes_what_a_seed_shares() -> None:
    shared = {0: 1.0, 1: 5.0, 2: 30.0}
    found = paired_ratio({s: 2 * v for s, v in shared.items()}, shared)
    assert (found.estimate, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))


def test_paired_ratio_uses_common_seeds_only() -> None:
    assert paired_ratio({0: 2.0, 1: 2.0, 7: 9.0}, {0: 1.0, 1: 1.0, 8: 9.0}).n == 2


# --- sampler selection ---------------------------------------------------------------------------


def cell(solver: str, seed: int, bank: str, value: float, **more: Any) -> dict[str, Any]:
    return {
        "experiment": "e",
        "dataset": "digits",
        "label": "a",
        "train_seed": seed,
        "noise_bank": bank,
        "solver": solver,
        "grid": "uniform_t",
        "nfe_requested": 4,
        "nfe": 4.0,
        "metric": "fd_digits",
        "reference_set": "held_out",
        "value": value,
    } | more


def chosen(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return select_samplers(exact_cells(records.frame(rows), "fd_digits")).set_index("train_seed")


def test_a_sampler_is_chosen_on_the_other_seeds_and_the_other_noise() -> None:
    """For seed 0 the others prefer b; for seeds 1 and 2 seed 0's low value makes a win."""
    selection = {"a": [1.0, 10.0, 10.0], "b": [5.0, 5.0, 5.0]}
    scoring = {"a": [2.0, 20.0, 21.0], "b": [6.0, 7.0, 8.0]}
    rows = [
        cell(solver, seed, bank, value)
        for bank, table in (("selection", selection), ("scoring", scoring))
        for solver, values in table.items()
        for seed, value in enumerate(values)
    ]
    found = chosen(rows)
    # Geometric means over the others: seed 0: a 10, b 5; seeds 1, 2: a sqrt(10), b 5.
    assert found["solver"].to_dict() == {0: "b", 1: "a", 2: "a"}
    assert found["value"].to_dict() == pytest.approx({0: 6.0, 1: 20.0, 2: 21.0})
    assert set(found["basis"]) == {"other seeds"}


def test_neither_own_seed_nor_scoring_noise_moves_the_choice() -> None:
    rows = [
        cell(solver, seed, bank, {"a": 2.0, "b": 3.0}[solver])
        for solver in "ab"
        for seed in range(3)
        for bank in ("selection", "scoring")
    ]
    before = chosen(rows)
    for row in rows:
        if row["train_seed"] == 0 and row["solver"] == "b":
            row["value"] = 0.001
        if row["noise_bank"] == "scoring" and row["solver"] == "b":
            row["value"] = 0.001
    after = chosen(rows)
    assert after["solver"][0] == before["solver"][0] == "a"
    assert after["value"][0] == 2.0


def test_cells_that_may_not_be_chosen() -> None:
    fair = [cell("a", s, bank, 9.0) for s in range(3) for bank in ("selection", "scoring")]
    unfair: list[dict[str, Any]] = []
    for seed in range(3):
        for bank in ("selection", "scoring"):
            unfair += [
                cell("adaptive", seed, bank, 1.0, tolerance=1e-3),
                cell("rounds", seed, bank, 1.0, nfe=5.0),
                cell("failed", seed, bank, 1.0, status="failed"),
                cell("a", seed, bank, 1.0, reference_set="train"),
                cell("broken", seed, bank, math.inf),
            ]
    found = chosen(fair + unfair)
    assert set(found["solver"]) == {"a"}
    assert set(found["value"]) == {9.0}


def test_a_sampler_that_lost_a_seed_is_not_preferred_for_it() -> None:
    rows = [cell("a", s, bank, 5.0) for s in range(4) for bank in ("selection", "scoring")]
    rows += [cell("b", s, bank, 1.0) for s in range(2) for bank in ("selection", "scoring")]
    assert set(chosen(rows)["solver"]) == {"a"}


def test_a_single_seed_decides_for_itself_and_says_so() -> None:
    found = chosen([cell("a", 0, b, v) for b, v in (("selection", 1.0), ("scoring", 2.0))])
    assert found.loc[0, "basis"] == "own seed"
    assert found.loc[0, "value"] == 2.0


def test_a_missing_score_stays_missing() -> None:
    rows = [cell("a", s, "selection", 1.0) for s in range(3)]
    rows += [cell("a", s, "scoring", 1.0) for s in range(2)]
    assert math.isnan(chosen(rows)["value"][2])


def test_the_common_solver_is_read_from_the_scoring_bank() -> None:
    rows = [cell("euler", s, b, v) for s in range(2) for b, v in (("selection", 1), ("scoring", 2))]
    found = fixed_sampler(exact_cells(records.frame(rows), "fd_digits"), "euler")
    assert found["value"].tolist() == [2.0, 2.0]


# --- quality targets -----------------------------------------------------------------------------


def curve(label: str, points: dict[int, list[float]]) -> pd.DataFrame:
    rows = [
        {"label": label, "nfe": nfe, "train_seed": seed, "value": value}
        for nfe, values in points.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_targets_are_common_and_taken_at_the_largest_nfe() -> None:
    """The plateau of 'early', lower but at a smaller NFE, sets no target."""
    table = pd.concat(
        [
            curve("best", {4: [9.0, 9.0], 64: [2.0, 8.0]}),  # geometric mean 4
            curve("worse", {4: [7.0, 7.0], 64: [5.0, 5.0]}),
            curve("early", {4: [1.0, 1.0]}),
        ]
    )
    assert quality_targets(table) == pytest.approx({1.1: 4.4, 1.5: 6.0})
    assert quality_targets(table.iloc[:0]) == {}


def test_interpolation_is_exact_on_a_power_law() -> None:
    nfe = [1, 2, 4, 8]
    found = nfe_to_quality(nfe, [100 / n**2 for n in nfe], 100 / 9)
    assert (found.nfe, found.bound) == (pytest.approx(3.0), "=")


@pytest.mark.parametrize(
    ("nfe", "value", "expected"),
    [
        ([1, 2, 64], [9, 8, 7], (64, ">")),
        ([1, 2], [3, 1], (1, "=")),
        ([4, 8], [3, 1], (4, "<=")),
        ([8, 4, 2], [3, 5, 9], (4, "=")),
        ([2, 4, 8, 16], [9, 5, 9, 1], (4, "=")),
        ([1, 2, 4], [9, math.nan, 5], (4, "=")),
    ],
    ids=["censored", "met-at-one", "met-at-once", "unsorted", "first-crossing", "gap"],
)
def test_crossings(nfe: list[int], value: list[float], expected: tuple[float, str]) -> None:
    found = nfe_to_quality(nfe, value, target=5.0)
    assert (found.nfe, found.bound) == (pytest.approx(expected[0]), expected[1])


def test_a_curve_without_values_has_no_crossing() -> None:
    with pytest.raises(ValueError, match="no swept NFE"):
        nfe_to_quality([1, 2], [math.nan, math.nan], 1.0)


def test_censored_seeds_are_counted_never_extrapolated() -> None:
    crossing_at_2, never = [4.0, 1.0, 0.5], [9.0, 8.0, 7.0]
    columns = {1: 0, 2: 1, 64: 2}

    def summary(*seeds: list[float]) -> Any:
        points = {nfe: [seed[i] for seed in seeds] for nfe, i in columns.items()}
        return summarise_crossings(curve("a", points), 1.0)

    whole = summary(crossing_at_2, crossing_at_2)
    assert whole.interval.estimate == pytest.approx(2.0)
    most = summary(crossing_at_2, crossing_at_2, never)
    assert (most.interval, most.reached, most.n) == (None, 2, 3)
    assert most.median == pytest.approx(2.0)
    few = summary(crossing_at_2, never, never)
    assert math.isinf(few.median)
    assert few.limit == 64
