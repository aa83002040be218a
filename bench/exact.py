"""The exact probability flow of a known law, in the place of a trained model.

For data of a Gaussian mixture and an independent coupling the posterior means are known in closed
form (:mod:`bench.oracles`), and with them the velocity on every Gaussian path. Solvers take
:class:`ExactModel` for a model: what is left of the error is their own.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from bench.budget import counted, watch
from bench.data import DataSet
from bench.oracles import GaussianMixture
from bench.paths import Path, PathCoefficients
from bench.sampling import Flow
from bench.streams import stream
from bench.tensors import expand

LOG_SNR_POINTS = tuple(float(point) for point in range(-8, 9))
"""Where the field error is taken, as far as a path reaches: noise levels 55 to 0.018."""

FIELD_SAMPLES = 2048
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


@dataclass(frozen=True)
class FieldError:
    """How far a model's field is from the exact one at a point of log_snr.

    Attributes:
        log_snr: where.
        velocity: ``E|v - v_exact|^2 / E|v_exact|^2`` on the model's own path.
        data: ``E|D - D_exact|^2`` a coordinate, for the estimates of the data: the same on every
            path that the model may be changed to.
    """

    log_snr: float
    velocity: float
    data: float


@torch.no_grad()
def field_errors(
    model: Flow, exact: ExactModel, data: Tensor, noise: Tensor
) -> Sequence[FieldError]:
    """Field errors at :data:`LOG_SNR_POINTS`, where the exact flow itself would visit.

    Args:
        model: on the path of ``exact``.
        exact: the exact flow.
        data: draws of the law, ``[n, ...]``.
        noise: standard normal, ``[n, ...]``, independent of them.
    """
    path, found = exact.path, []
    low, high = path.log_snr(torch.tensor(path.interval, dtype=torch.float64)).tolist()
    for point in LOG_SNR_POINTS:
        if not low <= point <= high:
            continue
        t = path.t_of_log_snr(torch.full((len(data),), point, dtype=torch.float64)).to(data.device)
        c = path.coefficients(t).to(data.dtype)
        x = expand(c.alpha, data) * data + expand(c.sigma, data) * noise
        with counted():
            velocity, true_velocity = model.velocity(x, t).double(), exact.velocity(x, t).double()
            off = (model.data(x, t).double() - exact.data(x, t).double()).square().mean()
        relative = (velocity - true_velocity).square().mean() / true_velocity.square().mean()
        found.append(FieldError(point, relative.item(), off.item()))
    return found


def field_points(dataset: DataSet, law: GaussianMixture) -> tuple[Tensor, Tensor, Tensor]:
    """Fresh draws of data and noise ``[n, *shape]``, and the component of each ``[n]``.

    They are those of the data set: all models and seeds meet the same points.
    """
    drawn, component = law.draw(FIELD_SAMPLES, stream("oracle", "data", dataset.name))
    noise = torch.randn(
        (FIELD_SAMPLES, *dataset.shape), generator=stream("oracle", "noise", dataset.name)
    )
    return drawn.float().reshape(noise.shape), noise, component
