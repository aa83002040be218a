"""How far a learned field is from the exact one, over log SNR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.data.dataset import DataSet
from bench.data.mixture import GaussianMixture
from bench.models.exact import ExactModel
from bench.models.meter import counted
from bench.sampling.sample import Flow
from bench.streams import stream
from bench.tensors import expand

LOG_SNR_POINTS = tuple(float(point) for point in range(-8, 9))
"""Where the field error is taken, as far as a path reaches: noise levels 55 to 0.018."""


FIELD_SAMPLES = 2048


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
    path, errors = exact.path, []
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
        errors.append(FieldError(point, relative.item(), off.item()))
    return errors


def field_points(dataset: DataSet, law: GaussianMixture) -> tuple[Tensor, Tensor, Tensor]:
    """Fresh draws of data and noise ``[n, *shape]``, and the component of each ``[n]``.

    They are those of the data set: all models and seeds meet the same points.
    """
    drawn, component = law.draw(FIELD_SAMPLES, stream("oracle", "data", dataset.name))
    noise = torch.randn(
        (FIELD_SAMPLES, *dataset.shape), generator=stream("oracle", "noise", dataset.name)
    )
    return drawn.float().reshape(noise.shape), noise, component
