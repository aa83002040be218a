"""A network with its meaning: path and prediction turn its output into velocity, data or noise."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from bench.budget import watch
from bench.paths import Path, PathCoefficients
from bench.predictions import PREDICTIONS, convert
from bench.streams import stream_seed
from bench.tensors import expand

LOG_SNR_CLIP = 15.0
"""The time embedding sees log_snr clipped to +-15; the linear path's ends are infinite."""


class PathModel(nn.Module):
    """A network on a path.

    All formulations feed the network alike: ``c_in*x`` with
    ``c_in = 1/sqrt(alpha^2*sigma_data^2 + sigma^2)``, so that its input has unit variance at every
    time, and ``log_snr/4`` as its condition (EDM's ``-log(noise level)/2``).

    Args:
        network: ``F(x [b, ...], condition [b]) -> [b, ...]``; watched by the budget from here on.
        path: gives the coefficients.
        prediction: name of what the output means, in ``bench.predictions.PREDICTIONS``.
        sigma_data: standard deviation of the training data.
    """

    def __init__(self, network: nn.Module, path: Path, prediction: str, sigma_data: float) -> None:
        super().__init__()
        self.network = network
        self.path = path
        self.prediction = PREDICTIONS[prediction]
        self.sigma_data = sigma_data
        watch(network)

    def output(self, x: Tensor, c: PathCoefficients) -> Tensor:
        """Raw output of the network at ``x [b, ...]``."""
        scale = (c.alpha**2 * self.sigma_data**2 + c.sigma**2).rsqrt()
        condition = c.log_snr.clamp(-LOG_SNR_CLIP, LOG_SNR_CLIP) / 4
        return self.network(expand(scale, x) * x, condition)

    def predict(self, x: Tensor, c: PathCoefficients, wanted: str) -> Tensor:
        """The model's estimate of ``wanted`` (data, noise, velocity, v, score) at ``x``."""
        output = self.output(x, c)
        to = PREDICTIONS[wanted]
        if to is self.prediction:
            return output
        sd = self.sigma_data
        return convert(output, x, c, self.prediction(c, sd), to(c, sd))

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        """Velocity of the probability flow at ``x [b, ...]``, ``t [b]``."""
        return self.predict(x, self.path.coefficients(t), "velocity")

    def data(self, x: Tensor, t: Tensor) -> Tensor:
        """Estimate of the data at ``x [b, ...]``, ``t [b]``."""
        return self.predict(x, self.path.coefficients(t), "data")


def build_network(
    kind: str, shape: Sequence[int], options: Mapping[str, int], seed: int
) -> nn.Module:
    """A freshly initialised network ``bench.networks.<kind>`` for samples of ``shape``.

    torch initialises layers from its global stream; that stream is forked here and put back, so
    that the weights depend on ``seed`` alone and nothing else depends on having built a network.
    """
    module = importlib.import_module(f"bench.networks.{kind}")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(stream_seed(seed, "initialisation"))
        network: nn.Module = module.build(shape, **options)
    return network
