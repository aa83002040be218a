"""Variance components on synthetic seeds and banks whose variances are known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from bench.evidence.statistics import exact_cells, select_samplers
from bench.evidence.statistics.components import (
    Components,
    bank_values,
    components,
    label_components,
    most_evaluations,
    paired_components,
    pooled,
)
from tests import synthetic

SAMPLES = (1194, 597)


def seeds_and_banks(
    rng: np.random.Generator, retraining: float, per_sample: float, sets: int, seeds: int = 5
) -> NDArray[np.float64]:
    """``[sets, seeds, banks]`` log metrics, with a shift that all seeds of a bank share."""
    size = (sets, seeds, len(SAMPLES))
    errors = rng.normal(size=size) * np.sqrt(per_sample / np.array(SAMPLES))
    return retraining * rng.normal(size=(sets, seeds, 1)) + errors + np.array([0.3, -0.2])


def estimates(values: NDArray[np.float64]) -> list[Components]:
    found = [components(one, SAMPLES) for one in values]
    return [one for one in found if one is not None]


def test_components_by_hand() -> None:
    """Two seeds, two banks of equal size: the textbook two-way table without interaction."""
    found = components(np.array([[1.0, 2.0], [4.0, 9.0]]), (10, 10))
    assert found is not None
    # Seed means 1.5 and 6.5; residuals +-1, of which each square counts ten samples.
    assert found.between == pytest.approx(12.5)
    assert found.per_sample == pytest.approx(40.0)
    assert found.untruncated == pytest.approx(10.5)
    assert (found.samples, found.seeds, found.degrees) == (20, 2, 1)


def test_both_variances_are_unbiased_and_a_shift_of_a_bank_is_neither() -> None:
    rng = np.random.default_rng(0)
    found = estimates(seeds_and_banks(rng, retraining=0.1, per_sample=12.0, sets=3000))
    errors = np.array([one.untruncated for one in found]), np.array([c.per_sample for c in found])
    for values, truth in zip(errors, (0.01, 12.0), strict=True):
        assert values.mean() == pytest.approx(truth, abs=3 * values.std() / math.sqrt(3000))


def test_setting_to_zero_is_biased_by_what_is_stated() -> None:
    """Without retraining error the truncated variance is 3/8 of the noise of a seed's mean."""
    rng = np.random.default_rng(1)
    found = estimates(seeds_and_banks(rng, retraining=0.0, per_sample=12.0, sets=3000))
    noise = 12.0 / sum(SAMPLES)
    truncated = np.array([one.spread.retraining**2 for one in found])
    assert truncated.mean() == pytest.approx(0.375 * noise, rel=0.1)
    assert np.mean([one.untruncated for one in found]) == pytest.approx(0.0, abs=0.06 * noise)


@pytest.mark.parametrize("retraining", [0.0, 0.05, 0.2])
def test_the_interval_of_the_retraining_error_covers_it(retraining: float) -> None:
    rng = np.random.default_rng(2)
    found = estimates(seeds_and_banks(rng, retraining, per_sample=12.0, sets=1000))
    bounds = [one.retraining_interval() for one in found]
    covered = np.mean([low <= retraining <= high for low, high in bounds])
    assert 0.93 <= covered <= 0.985


def test_too_little_to_tell() -> None:
    assert components(np.array([[1.0, 2.0]]), SAMPLES) is None
    assert components(np.array([[1.0, math.nan], [2.0, 3.0]]), SAMPLES) is None
    assert components(np.array([[1.0], [2.0]]), (10,)) is None
    assert pooled([]) is None


def test_the_average_is_taken_before_anything_is_set_to_zero() -> None:
    below = Components(between=0.0, per_sample=10.0, samples=1000, seeds=5, degrees=4)
    above = Components(between=0.04, per_sample=10.0, samples=1000, seeds=4, degrees=3)
    found = pooled([below, above])
    assert found is not None
    assert found.untruncated == pytest.approx((-0.01 + 0.03) / 2)
    assert (found.seeds, found.degrees) == (4, 3)


def test_a_spread_adds_its_variances_and_more_samples_lower_one_of_them() -> None:
    found = Components(between=0.02, per_sample=10.0, samples=1000, seeds=5, degrees=4).spread
    assert found.retraining == pytest.approx(0.1)
    assert found.total(1000) == pytest.approx(math.sqrt(0.02))
    assert found.share(1000) == pytest.approx(0.5)
    assert found.share(9000) == pytest.approx(0.9)


@pytest.fixture(scope="module")
def values() -> pd.DataFrame:
    """Bank values of two formulations in made-up records of 40 seeds."""
    labels = ("flow_matching", "vp_diffusion")
    exp = synthetic.experiment(
        formulations=dict.fromkeys(labels),
        seeds=list(range(40)),
        sweep={"solvers": ["euler"], "nfe": [8, 64], "tolerances": []},
    )
    rows = [
        row
        for label in labels
        for seed in exp.seeds
        for row in synthetic.sweep_rows(exp, "digits", label, seed)
    ]
    cells = exact_cells(synthetic.records.frame(rows), "fd_digits")
    return bank_values(cells, select_samplers(cells))


def test_cells_that_were_stopped_early_leave_the_others_as_they_are(values: pd.DataFrame) -> None:
    stopped = values.copy()
    early = stopped.index.get_level_values("label") == "vp_diffusion"
    early &= stopped.index.get_level_values("nfe") == 64
    stopped["scoring", 10] = stopped["scoring"].iloc[:, 0].where(early)
    whole = [column for column in values.columns if column[0] == "scoring"]
    stopped.loc[early, whole] = math.nan
    ours, expected = (label_components(table, "flow_matching", 64) for table in (stopped, values))
    assert ours == expected
    assert most_evaluations(stopped, "flow_matching") == 64
    assert most_evaluations(stopped, "vp_diffusion") == 64
    stopped.loc[early] = math.nan
    assert most_evaluations(stopped, "vp_diffusion") == 8
    assert most_evaluations(stopped, "nobody") is None


def test_records_give_back_the_errors_they_were_made_with(values: pd.DataFrame) -> None:
    """Made with 0.05 a seed, 0.01 a cell and 0.005 a bank, on the log scale."""
    found = label_components(values, "flow_matching", 64)
    assert found is not None
    assert found.seeds == 40
    assert found.spread.retraining == pytest.approx(math.hypot(0.05, 0.01), rel=0.35)
    assert found.spread.resampling(896) == pytest.approx(0.005, rel=0.35)


def test_a_pair_has_the_variance_of_its_ratio_at_the_most_evaluations(
    values: pd.DataFrame,
) -> None:
    found = paired_components(values, "flow_matching", "vp_diffusion")
    assert found is not None
    assert found.spread.retraining == pytest.approx(math.sqrt(2) * 0.051, rel=0.35)
    x, y = (
        values.xs(64, level="nfe").xs(label, level="label")
        for label in ("flow_matching", "vp_diffusion")
    )
    by_hand = components((x - y).to_numpy(), [n for _, n in x.columns])
    assert found == by_hand
    assert paired_components(values, "flow_matching", "rectified_flow") is None
