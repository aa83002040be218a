"""Defects: a coupling that moves the data, brings noise of its own, or draws from elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from bench.training.couplings import Coupling, Pair
from tests.contracts import test_couplings as contract

UNKEYED = torch.Generator()

WRONG: dict[str, Coupling] = {
    "moves the data": lambda pair, generator: pair._replace(data=pair.data.flip(0)),
    "moves the labels": lambda pair, generator: pair._replace(label=pair.label.flip(0)),
    "new noise": lambda pair, generator: pair._replace(noise=-pair.noise),
    "noise twice": lambda pair, generator: pair._replace(
        noise=pair.noise[:1].expand_as(pair.noise)
    ),
    "another generator": lambda pair, generator: pair._replace(
        noise=pair.noise[torch.randperm(len(pair.noise), generator=UNKEYED)]
    ),
    "in place": lambda pair, generator: pair._replace(noise=pair.noise.copy_(pair.noise.flip(0))),
}


def keeps_noise(coupling: Coupling) -> None:
    contract.test_noise_is_that_of_the_batch_and_none_is_lost(coupling)


SEEN_BY: dict[str, Callable[[Coupling], None]] = {
    "moves the data": contract.test_data_and_labels_keep_their_order,
    "moves the labels": contract.test_data_and_labels_keep_their_order,
    "new noise": keeps_noise,
    "noise twice": keeps_noise,
    "another generator": contract.test_only_the_generator_decides,
    "in place": contract.test_the_batch_itself_is_left_alone,
}


def honest(pair: Pair, generator: torch.Generator) -> Pair:
    places = torch.randperm(len(pair.noise), generator=generator)
    return pair._replace(noise=pair.noise[places])


@pytest.mark.parametrize("defect", WRONG)
def test_the_contract_sees_it(defect: str) -> None:
    SEEN_BY[defect](honest)
    with pytest.raises(AssertionError):
        SEEN_BY[defect](WRONG[defect])
