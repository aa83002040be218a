"""What a network's output means, and the change from any meaning into any other.

A prediction states ``scale * output = a*data + b*noise``. Together with
``x = alpha*data + sigma*noise`` this is a 2x2 system, whose solution gives any other combination
``c*data + d*noise``::

    ((c*sigma - d*alpha) * scale*output + (a*d - b*c) * x) / (a*sigma - b*alpha)

Its determinant vanishes where the output does not carry the wanted quantity: data at sigma = 0,
noise at alpha = 0. Paths keep such times outside their interval, or the combination asked for
(velocity from velocity) is returned without solving.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from bench.models.paths import PathCoefficients
from bench.tensors import expand


class Weights(NamedTuple):
    """``scale * output = a*data + b*noise``, each ``[b]``."""

    a: Tensor
    b: Tensor
    scale: Tensor


Prediction = Callable[[PathCoefficients, float], Weights]


def data(c: PathCoefficients, sigma_data: float) -> Weights:
    """The data itself (x-prediction)."""
    ones = torch.ones_like(c.alpha)
    return Weights(ones, torch.zeros_like(ones), ones)


def noise(c: PathCoefficients, sigma_data: float) -> Weights:
    """The noise (epsilon-prediction; Ho et al., 2020, 2006.11239)."""
    ones = torch.ones_like(c.alpha)
    return Weights(torch.zeros_like(ones), ones, ones)


def velocity(c: PathCoefficients, sigma_data: float) -> Weights:
    """The path's velocity ``d_alpha*data + d_sigma*noise`` (Lipman et al., 2022, 2210.02747)."""
    return Weights(c.d_alpha, c.d_sigma, torch.ones_like(c.alpha))


def v(c: PathCoefficients, sigma_data: float) -> Weights:
    """``alpha*noise - sigma*data`` (Salimans & Ho, 2022, 2202.00512); not the velocity."""
    return Weights(-c.sigma, c.alpha, torch.ones_like(c.alpha))


def score(c: PathCoefficients, sigma_data: float) -> Weights:
    """``-noise/sigma``; the score of the marginal for independent couplings only."""
    ones = torch.ones_like(c.alpha)
    return Weights(torch.zeros_like(ones), -1 / c.sigma, ones)


def edm(c: PathCoefficients, sigma_data: float) -> Weights:
    """EDM preconditioning, at noise level ``s = sigma/alpha``.

    From Karras et al., 2022, 2206.00364, table 1:
    ``data = c_skip*x/alpha + c_out*output``, ``c_skip = sd^2/(s^2 + sd^2)``,
    ``c_out = s*sd/sqrt(s^2 + sd^2)``.
    """
    s = c.noise_level
    total = s**2 + sigma_data**2
    skip = sigma_data**2 / total
    return Weights(1 - skip, -skip * s, s * sigma_data / total.sqrt())


CONSISTENCY_EPSILON = 0.002
"""Noise level at which a consistency function is the identity (Song et al., 2023, 2303.01469)."""


def consistency(c: PathCoefficients, sigma_data: float) -> Weights:
    """Boundary-preserving preconditioning (Song et al., 2023, 2303.01469, appendix C).

    ``c_skip = sd^2/((s - eps)^2 + sd^2)``, ``c_out = sd*(s - eps)/sqrt(s^2 + sd^2)``: at the
    smallest noise level the function is the identity, whatever the network says.
    """
    s = c.noise_level
    shifted = s - CONSISTENCY_EPSILON
    skip = sigma_data**2 / (shifted**2 + sigma_data**2)
    scale = sigma_data * shifted / (s**2 + sigma_data**2).sqrt()
    return Weights(1 - skip, -skip * s, scale)


PREDICTIONS: dict[str, Prediction] = {
    "data": data,
    "noise": noise,
    "velocity": velocity,
    "v": v,
    "score": score,
    "edm": edm,
    "consistency": consistency,
}


def target(weights: Weights, data: Tensor, noise: Tensor) -> Tensor:
    """What the output should be for a pair ``[b, ...]``: ``(a*data + b*noise)/scale``."""
    combination = expand(weights.a, data) * data + expand(weights.b, data) * noise
    return combination / expand(weights.scale, data)


def gain(c: PathCoefficients, weights: Weights) -> Tensor:
    """Derivative ``[b]`` of the data, as a prediction gives it, by the prediction's output."""
    return weights.scale * c.sigma / (weights.a * c.sigma - weights.b * c.alpha)


def mixture(c: PathCoefficients, weights: Weights, wanted: Weights) -> tuple[Tensor, Tensor]:
    """``(p, q)``, each ``[b]``: the output under ``wanted`` is ``p*output + q*x``."""
    determinant = weights.a * c.sigma - weights.b * c.alpha
    of_output = (
        weights.scale * (wanted.a * c.sigma - wanted.b * c.alpha) / (determinant * wanted.scale)
    )
    of_x = (weights.a * wanted.b - weights.b * wanted.a) / (determinant * wanted.scale)
    return of_output, of_x


def convert(
    output: Tensor, x: Tensor, c: PathCoefficients, weights: Weights, wanted: Weights
) -> Tensor:
    """Turn ``output [b, ...]`` under ``weights`` into the output under ``wanted``."""
    of_output, of_x = mixture(c, weights, wanted)
    return expand(of_output, x) * output + expand(of_x, x) * x
