"""The exact probability flow of a known law, in the place of a trained model.

For data of a Gaussian mixture and an independent coupling the posterior means are known in closed
form (:mod:`bench.data.mixture`), and with them the velocity on every Gaussian path. Solvers take
:class:`ExactModel` for a model: what is left of the error is their own.
"""

from __future__ import annotations

import copy
from typing import Self

from torch import Tensor, nn

from bench.data.mixture import GaussianMixture
from bench.models.meter import watch
from bench.models.paths import Path, PathCoefficients

TOLERANCE = 1e-8
"""Of the fine solve of the exact flow, in float64."""


class _Means(nn.Module):
    """Velocity or data estimate of a law; a module, so that evaluations are counted as all are."""

    def forward(self, law: GaussianMixture, x: Tensor, c: PathCoefficients, wanted: str) -> Tensor:
        return law.velocity(x, c) if wanted == "velocity" else law.posterior_mean_data(x, c)


class ExactModel:
    """The exact flow of a law on a path.

    Args:
        law: law of the data, coupled to the noise independently.
        path: gives the coefficients.
    """

    evaluations = 1

    def __init__(self, law: GaussianMixture, path: Path) -> None:
        self.law = law
        self.path = path
        self.label: Tensor | None = None
        self._means = _Means()
        watch(self._means)

    def given(self, label: Tensor | None) -> Self:
        """The flow of samples of classes ``label [b]``: of the law restricted to each class."""
        bound = copy.copy(self)
        bound.label = label
        return bound

    def part(self, samples: slice) -> Self:
        """The flow of some samples of the batch whose classes it was given."""
        return self.given(None if self.label is None else self.label[samples])

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        """``E[d_alpha*data + d_sigma*noise | x]`` at ``x [b, ...]``, ``t [b or 1]``."""
        return self._mean(x, t, "velocity")

    def data(self, x: Tensor, t: Tensor) -> Tensor:
        """``E[data | x]`` at ``x [b, ...]``, ``t [b or 1]``."""
        return self._mean(x, t, "data")

    def _mean(self, x: Tensor, t: Tensor, wanted: str) -> Tensor:
        law = self.law if self.label is None else self.law.given(self.label)
        c = self.path.coefficients(self.path.inside(t).double().to(x.device))
        mean: Tensor = self._means(law, x, c, wanted)
        return mean
