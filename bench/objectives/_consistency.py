"""What the two consistency objectives share: noise levels and the distance."""

from __future__ import annotations

from torch import Tensor

from bench.models import PathModel
from bench.paths.edm import Edm
from bench.solvers.grids import karras_levels


def rising_levels(path: Edm, intervals: int) -> Tensor:
    """``intervals + 1`` noise levels of EDM's grid, from sigma_min up, float32."""
    return karras_levels(path.sigma_min, path.sigma_max, intervals).flip(0).float()


def pseudo_huber(a: Tensor, b: Tensor) -> Tensor:
    """``sqrt(|a - b|^2 + c^2) - c`` with ``c = 0.00054*sqrt(d)`` (2310.14189, section 3.3)."""
    squared = (a - b).flatten(1).square()
    c = 0.00054 * squared.shape[1] ** 0.5
    return (squared.sum(1) + c**2).sqrt() - c


def edm_path(model: PathModel) -> Edm:
    """The model's path, which must be EDM's: consistency is defined on noise levels.

    Raises:
        TypeError: another path.
    """
    if not isinstance(model.path, Edm):
        raise TypeError(f"consistency needs the path 'edm', got {type(model.path).__name__}")
    return model.path
