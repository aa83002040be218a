"""Every metric: the names it declares, the direction it declares, and what must not matter."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench.data.dataset import DataSet
from bench.evidence.statistics import scale_of
from bench.metrics.context import Context, References, Settings
from bench.metrics.declared import applicable, declared, directions, metric_module, scales
from bench.metrics.measurement import Measurement, evaluate
from bench.registry import discover
from bench.streams import stream
from tests.sources import description

BLOCK = 298
# One subset as large as the block: KID then takes every sample, in whatever order.
SETTINGS = Settings(block=BLOCK, kid_subsets=1, kid_subset_size=BLOCK, neighbours=3)
CASES = [
    (dataset, metric) for dataset in discover("data") for metric in applicable(description(dataset))
]
SOLVED = {"endpoint_rmse", "total_rmse"}
"""Metrics that compare with the end of a solve from the same noise."""

MakeContext = Callable[[str, Tensor], Context]
Key = tuple[str, str | None]


@pytest.fixture(scope="session")
def references(
    real_data: Callable[[str], DataSet], extractor_weights: Callable[[str], Path | None]
) -> Callable[[str], References]:
    kept: dict[str, References] = {}

    def make(name: str) -> References:
        if name not in kept:
            extractor = description(name).extractor
            kept[name] = References(real_data(name), SETTINGS, extractor_weights(name), extractor)
        return kept[name]

    return make


@pytest.fixture
def context(references: Callable[[str], References]) -> MakeContext:
    """Samples in place of a model's; the solves of each end in the real sample it stems from."""

    def make(name: str, samples: Tensor) -> Context:
        real = references(name)
        ends = real.dataset.train[: len(samples)]
        return Context(samples, real, reference_end=ends, exact_end=ends)

    return make


def disturbed(dataset: DataSet, strength: float, blocks: int = 4) -> Tensor:
    """Training samples with noise of ``strength`` times their standard deviation."""
    real = dataset.train[: blocks * BLOCK]
    noise = torch.randn(real.shape, generator=stream("disturbed", dataset.name))
    return real + strength * dataset.sigma_data * noise


def keyed(measured: list[Measurement]) -> dict[Key, Measurement]:
    found = {(m.metric, m.reference_set): m for m in measured}
    assert len(found) == len(measured)
    return found


@pytest.mark.parametrize(("dataset", "metric"), CASES)
def test_measures_what_it_declares(
    dataset: str, metric: str, context: MakeContext, real_data: Callable[[str], DataSet]
) -> None:
    module = metric_module(metric)
    measured = module.compute(context(dataset, disturbed(real_data(dataset), 0.1)))
    assert {m.metric for m in measured} == set(declared(description(dataset), metric))
    assert module.SCALES.keys() == module.DIRECTIONS.keys()
    assert module.TITLES.keys() == module.DIRECTIONS.keys()
    for m in measured:
        assert m.refusal is None
        assert math.isfinite(m.value)
        scale = declared(description(dataset), metric)[m.metric][1]
        lowest, highest = {
            "log": (0.0, math.inf),
            "logit": (0.0, 1.0),
            "linear": (-math.inf, math.inf),
        }[scale]
        assert lowest <= m.value <= highest
        assert m.value_se is not None
        assert m.value_se >= 0
        assert set(m.columns()) == {
            "metric", "value", "value_se", "reference_set", "n_reference", "extractor",
        }  # fmt: skip


@pytest.mark.parametrize(("dataset", "metric"), CASES)
def test_worse_samples_score_worse(
    dataset: str, metric: str, context: MakeContext, real_data: Callable[[str], DataSet]
) -> None:
    check_direction(metric_module(metric).compute, dataset, context, real_data(dataset))


def check_direction(
    compute: Callable[[Context], list[Measurement]],
    dataset: str,
    context: MakeContext,
    data: DataSet,
) -> None:
    """More noise scores worse, in the direction that each name declares."""
    ladder = [
        keyed(compute(context(dataset, disturbed(data, strength)))) for strength in (0.1, 0.7, 2.0)
    ]
    for key in ladder[0]:
        values = [step[key].value for step in ladder]
        match directions(description(dataset))[key[0]]:
            case "lower":
                assert values == sorted(values), key
                assert values[0] < values[-1]
            case "higher":
                assert values == sorted(values, reverse=True), key
                assert values[0] > values[-1]


@pytest.mark.parametrize(("dataset", "metric"), CASES)
def test_the_order_of_samples_in_a_block_does_not_matter(
    dataset: str, metric: str, references: Callable[[str], References]
) -> None:
    real = references(dataset)
    samples, ends = disturbed(real.dataset, 0.3, blocks=1), real.dataset.train[:BLOCK]
    order = torch.randperm(BLOCK, generator=stream("order"))
    compute = metric_module(metric).compute
    before = keyed(compute(Context(samples, real, ends, ends)))
    after = keyed(compute(Context(samples[order], real, ends[order], ends[order])))
    assert before.keys() == after.keys()
    for key, measurement in before.items():
        assert after[key].refusal == measurement.refusal
        if measurement.refusal is None:
            assert after[key].value == pytest.approx(measurement.value, rel=1e-4, abs=1e-4), key


@pytest.mark.parametrize("dataset", discover("data"))
def test_no_two_metrics_share_a_name(dataset: str) -> None:
    data = description(dataset)
    names = [name for metric in applicable(data) for name in declared(data, metric)]
    assert len(names) == len(set(names))
    assert set(names) == set(directions(data))


@pytest.mark.parametrize("dataset", discover("data"))
@pytest.mark.parametrize("extractor", ["digits", "inception"])
def test_statistics_take_each_metric_on_its_declared_scale(dataset: str, extractor: str) -> None:
    data = description(dataset)
    data = replace(data, extractor=extractor if data.extractor else None)
    declared_scales = scales(data)
    assert {name: scale_of(name) for name in declared_scales} == declared_scales


@pytest.mark.parametrize("dataset", discover("data"))
def test_samples_that_are_not_finite_are_refused(
    dataset: str, context: MakeContext, real_data: Callable[[str], DataSet]
) -> None:
    samples = disturbed(real_data(dataset), 0.1, blocks=2)
    samples[3].view(-1)[0] = torch.nan
    with pytest.raises(ValueError, match="1 of 596 samples are not finite"):
        evaluate(context(dataset, samples))


@pytest.mark.parametrize("dataset", discover("data"))
def test_without_solves_only_their_metrics_are_missing(
    dataset: str, references: Callable[[str], References]
) -> None:
    real = references(dataset)
    measured = evaluate(Context(real.dataset.held_out[:BLOCK], real))
    assert {m.metric for m in measured} == set(directions(description(dataset))) - SOLVED
