"""Blocks: equal sizes, fixed pairs, means with errors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from bench.data.dataset import DataSet
from bench.errors import InputError
from bench.metrics.context import Context, References, Settings
from bench.metrics.measurement import over_blocks


def settings(block: int) -> Settings:
    return Settings(block=block, kid_subsets=1, kid_subset_size=1, neighbours=3)


@pytest.fixture
def digits(real_data: Callable[[str], DataSet]) -> DataSet:
    return real_data("digits")


def test_real_blocks_are_disjoint_and_whole(digits: DataSet) -> None:
    blocks = References(digits, settings(597)).blocks("train")
    assert [len(block) for block in blocks] == [597, 597]
    assert torch.equal(torch.cat(blocks), digits.train[:1194])


def test_every_model_meets_the_same_real_block(digits: DataSet) -> None:
    context = Context(digits.train[:900], References(digits, settings(300)))
    assert context.against("held_out") == [(0, 0), (1, 0), (2, 0)]
    assert context.against("train") == [(0, 0), (1, 1), (2, 2)]


def test_a_block_larger_than_the_real_data_is_bad_input(digits: DataSet) -> None:
    with pytest.raises(InputError, match="598 exceeds the 597 real samples of digits"):
        References(digits, settings(598))


@pytest.mark.parametrize("count", [0, 299, 301])
def test_samples_come_in_whole_blocks(digits: DataSet, count: int) -> None:
    with pytest.raises(ValueError, match="no multiple of the block 300"):
        Context(digits.train[:count], References(digits, settings(300)))


def test_derived_values_are_computed_once(digits: DataSet) -> None:
    references = References(digits, settings(300))
    assert references.derived("key", lambda: [1]) is references.derived("key", lambda: [2])


def test_mean_and_error_over_blocks() -> None:
    several = over_blocks("fd", [1.0, 2.0, 6.0], n_reference=5)
    assert (several.value, several.n_reference) == (3.0, 5)
    assert several.value_se == pytest.approx((7 / 3) ** 0.5)
    assert over_blocks("fd", [2.5]).value_se is None
