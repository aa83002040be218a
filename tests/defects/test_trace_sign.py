"""Defect: a change of variables that adds where it should subtract, or forgets the change."""

from __future__ import annotations

import pytest
from torch import Tensor

from bench.data.mixture import GaussianMixture
from bench.models.paths import Path
from bench.models.paths.linear import Linear
from bench.models.paths.vp import Vp
from bench.sampling import likelihood
from bench.sampling.sample import Flow
from tests.sampling import test_likelihood as contract


@pytest.mark.parametrize("factor", [-1.0, 0.0])
@pytest.mark.parametrize(
    ("law", "path"),
    [(contract.ring(), Linear()), (contract.eight(), Vp())],
    ids=["ring", "eight dimensions"],
)
def test_the_contract_sees_it(
    monkeypatch: pytest.MonkeyPatch, law: GaussianMixture, path: Path, factor: float
) -> None:
    honest = likelihood._along

    def planted(model: Flow, x: Tensor, t: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        velocity, products = honest(model, x, t, directions)
        return velocity, factor * products

    monkeypatch.setattr(likelihood, "_along", planted)
    with pytest.raises(AssertionError):
        contract.check_against_the_exact_law(law, path)
