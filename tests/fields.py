"""Exact fields for tests: a Gaussian mixture in the place of a network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.data.mixture import GaussianMixture
from bench.models.path_model import PathModel
from bench.models.paths import Path


def ring(modes: int = 5, std: float = 0.2) -> GaussianMixture:
    """Unequal modes on a circle, with one tilted covariance shared by all."""
    angle = torch.arange(modes, dtype=torch.float64) * 2 * torch.pi / modes
    means = torch.stack([angle.cos(), angle.sin()], dim=1)
    covariance = std**2 * torch.tensor([[1.0, 0.3], [0.3, 0.8]], dtype=torch.float64)
    weights = torch.arange(1, modes + 1, dtype=torch.float64)
    return GaussianMixture(weights / weights.sum(), means, covariance.expand(modes, 2, 2))


class ExactVelocity(nn.Module):
    """A network that outputs the exact velocity: it undoes what PathModel does to its input.

    PathModel feeds ``c_in*x`` and the clipped log_snr; the time is recovered from the latter, so
    the field is exact where log_snr is not clipped.
    """

    def __init__(self, path: Path, mixture: GaussianMixture, sigma_data: float) -> None:
        super().__init__()
        self.path = path
        self.mixture = mixture
        self.sigma_data = sigma_data
        self.unused = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, condition: Tensor, label: Tensor | None = None) -> Tensor:
        t = self.path.t_of_log_snr(4 * condition[:, 0].double())
        c = self.path.coefficients(t)
        scale = (c.alpha**2 * self.sigma_data**2 + c.sigma**2).sqrt()
        velocity = self.mixture.velocity(x.double() * scale[:, None], c)
        return velocity.to(x.dtype)


def exact_model(path: Path, mixture: GaussianMixture) -> PathModel:
    """A PathModel whose velocity is the mixture's own."""
    return PathModel(ExactVelocity(path, mixture, 0.7), path, "velocity", 0.7)
