"""Student t intervals against hand-worked answers and simulated coverage."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.evidence.statistics import Interval, interval, paired_ratio, student_t


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
        ("recall_digits", [0.1, 0.2], "logit"),
        ("recall_digits", [0.1, 1.0], "ranks"),
        ("memorisation", [0.5, 0.6], "logit"),
        ("fd_dinov2_full", [1.0, 2.0], "log"),
        ("fd_digits_inf", [1.0, 2.0], "linear"),
        ("fid", [1.0, 2.0], "log"),
        ("fid_inf", [1.0, 2.0], "linear"),
        ("field_rmse", [1.0, 2.0], "log"),
        ("cost.train", [1.0, 2.0], "log"),
        ("straightness_native", [0.1, 0.2], "log"),
        ("arc_over_chord", [1.1, 1.2], "log"),
        ("sample_nll", [-1.0, 2.0], "linear"),
        ("fd_digits", [0.0, 2.0], "ranks"),
    ],
)
def test_the_scale_of_a_metric(metric: str, values: list[float], scale: str) -> None:
    assert interval(values, metric).scale == scale


SUPPORT = {
    "fd_digits": (0.0, math.inf),
    "recall_digits": (0.0, 1.0),
    "memorisation": (0.0, 1.0),
    "straightness_native": (0.0, math.inf),
}


@pytest.mark.parametrize("metric", SUPPORT)
def test_an_interval_stays_where_the_metric_can_be(metric: str) -> None:
    """Values near the border, and on it, of which a linear interval would leave the support."""
    lowest, highest = SUPPORT[metric]
    draws = np.random.default_rng(5).beta(0.3, 0.3, size=(300, 4))
    left_by_linear = 0
    for row in (*draws, [0.0, 0.3, 0.6, 0.9], [0.0, 0.0, 0.0, 0.0]):
        found, linear = interval(row, metric), student_t(row, "linear")
        assert lowest <= found.low <= found.estimate <= found.high <= highest
        left_by_linear += linear.low < lowest or linear.high > highest
    assert left_by_linear > 50


def test_the_logit_interval_is_that_of_log_odds() -> None:
    share = [0.9, 0.95, 0.99]
    found = student_t(share, "logit")
    odds = student_t([p / (1 - p) for p in share], "log")
    assert found.low / (1 - found.low) == pytest.approx(odds.low)
    assert found.high / (1 - found.high) == pytest.approx(odds.high)
    with pytest.raises(ValueError, match="between 0 and 1"):
        student_t([0.5, 1.0], "logit")


def check_coverage(interval_of: Callable[[NDArray[np.float64]], Interval], n: int) -> None:
    """Lognormal retraining noise: 95% of 4,000 intervals, within three standard errors."""
    draws = np.random.default_rng(n).lognormal(mean=1.0, sigma=0.3, size=(4000, n))
    covered = [i.low <= math.e <= i.high for i in map(interval_of, draws)]
    assert np.mean(covered) == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / 4000))


@pytest.mark.parametrize("n", [3, 5, 10])
def test_intervals_cover_the_truth_as_often_as_they_say(n: int) -> None:
    check_coverage(lambda row: student_t(row, "log"), n)


def test_paired_ratio_removes_what_a_seed_shares() -> None:
    shared = {0: 1.0, 1: 5.0, 2: 30.0}
    found = paired_ratio({s: 2 * v for s, v in shared.items()}, shared)
    assert (found.estimate, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))


def test_paired_ratio_uses_common_seeds_only() -> None:
    assert paired_ratio({0: 2.0, 1: 2.0, 7: 9.0}, {0: 1.0, 1: 1.0, 8: 9.0}).n == 2
