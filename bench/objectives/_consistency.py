"""What the two consistency objectives share: levels, the distance, the pair of evaluations."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.models import PathModel
from bench.paths import PathCoefficients
from bench.paths.edm import Edm

KARRAS_RHO = 7.0


def karras_levels(count: int, path: Edm) -> Tensor:
    """``count`` noise levels rising from sigma_min to sigma_max (2206.00364, equation 5)."""
    ramp = torch.linspace(0, 1, count, dtype=torch.float64)
    low, high = path.sigma_min ** (1 / KARRAS_RHO), path.sigma_max ** (1 / KARRAS_RHO)
    return ((low + ramp * (high - low)) ** KARRAS_RHO).float()


def at_level(level: Tensor) -> PathCoefficients:
    """Coefficients of EDM's path at a noise level; time is the level itself."""
    one = torch.ones_like(level)
    return PathCoefficients(one, level, torch.zeros_like(one), one)


def pseudo_huber(a: Tensor, b: Tensor) -> Tensor:
    """``sqrt(|a - b|^2 + c^2) - c`` with ``c = 0.00054*sqrt(d)`` (2310.14189, section 3.3)."""
    squared = (a - b).flatten(1).square()
    c = 0.00054 * squared.shape[1] ** 0.5
    return (squared.sum(1) + c**2).sqrt() - c


def edm_path(model: PathModel) -> Edm:
    """The model's path, which must be EDM's.

    Raises:
        TypeError: consistency models are defined on noise levels (2303.01469).
    """
    if not isinstance(model.path, Edm):
        raise TypeError(f"consistency needs the path 'edm', got {type(model.path).__name__}")
    return model.path
