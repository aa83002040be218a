"""Defects: "new" samples that come again, a stream shared with what is held out, and an end."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from bench.data.dataset import DataSet
from bench.data.endless import Drawn, Sampler
from bench.streams import stream
from tests.contracts import test_data as contract


@dataclass(frozen=True)
class Pooled:
    """Draws from a pool, as a cache of samples would."""

    honest: Sampler
    pool: int = 500

    def draw(self, count: int, generator: torch.Generator) -> Drawn:
        samples, labels = self.honest.draw(self.pool, stream("pool"))
        chosen = torch.randint(self.pool, (count,), generator=generator)
        return Drawn(samples[chosen], None if labels is None else labels[chosen])

    def tensors(self) -> dict[str, torch.Tensor]:
        return self.honest.tensors()


@dataclass(frozen=True)
class Global(Pooled):
    """Draws from torch's global stream, whatever the key."""

    def draw(self, count: int, generator: torch.Generator) -> Drawn:
        return self.honest.draw(count, torch.default_generator)


def with_sampler(dataset: DataSet, kind: type[Pooled]) -> DataSet:
    assert dataset.sampler is not None
    return dataclasses.replace(dataset, sampler=kind(dataset.sampler))


@pytest.mark.parametrize("name", contract.UNLIMITED)
def test_the_contract_sees_samples_that_come_again(
    name: str, unlimited_data: Callable[[str], DataSet]
) -> None:
    def planted(name: str) -> DataSet:
        return with_sampler(unlimited_data(name), Pooled)

    with pytest.raises(AssertionError):
        contract.test_unlimited_training_meets_no_sample_twice(name, planted)
    with pytest.raises(AssertionError):
        contract.test_held_out_samples_have_no_end(name, planted)


@pytest.mark.parametrize("name", contract.UNLIMITED)
def test_the_contract_sees_held_out_samples_that_are_trained_on(
    name: str, unlimited_data: Callable[[str], DataSet]
) -> None:
    def planted(name: str) -> DataSet:
        honest = unlimited_data(name)
        held_out = honest.held_out.clone()
        held_out[5] = contract.batches(honest, 1, (4,))[17]
        return dataclasses.replace(honest, held_out=held_out)

    with pytest.raises(AssertionError):
        contract.test_unlimited_training_meets_no_sample_twice(name, planted)


@pytest.mark.parametrize("name", contract.UNLIMITED)
def test_the_contract_sees_samples_without_a_key(
    name: str, unlimited_data: Callable[[str], DataSet]
) -> None:
    def planted(name: str) -> DataSet:
        return with_sampler(unlimited_data(name), Global)

    with pytest.raises(AssertionError):
        contract.test_a_resumed_run_draws_the_same_batches(name, planted)


@pytest.mark.parametrize("name", contract.UNLIMITED)
def test_the_contract_sees_a_file_that_forgets_the_rest(
    name: str,
    unlimited_data: Callable[[str], DataSet],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = contract.load

    def planted(folder: Path) -> DataSet:
        return dataclasses.replace(honest(folder), sampler=None)

    monkeypatch.setattr(contract, "load", planted)
    with pytest.raises(AssertionError):
        contract.test_the_file_of_unlimited_data_draws_the_same(name, unlimited_data, tmp_path)
