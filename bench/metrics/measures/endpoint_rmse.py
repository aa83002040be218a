"""Solver error without a feature network: distance to a fine solve from the same noise.

``sqrt(mean over samples and coordinates of (end - fine end)^2)``, in the units of the data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.metrics.declared import Needs
from bench.metrics.measurement import Measurement

if TYPE_CHECKING:
    from torch import Tensor

    from bench.metrics.context import Context

NEEDS = Needs(reference_solve=True)
DIRECTIONS = {"endpoint_rmse": "lower"}
SCALES = {"endpoint_rmse": "log"}
TITLES = {"endpoint_rmse": "endpoint RMSE to a fine solve"}


def compute(context: Context) -> list[Measurement]:
    """Over the samples that have a fine solve."""
    assert context.reference_end is not None, "no reference solve"
    return [rmse("endpoint_rmse", context.samples, context.reference_end, "reference_solve")]


def rmse(metric: str, samples: Tensor, ends: Tensor, reference: str) -> Measurement:
    """Of ``samples [n, ...]`` against ``ends [m, ...]``, the first m; error by the delta method."""
    squared = (samples[: len(ends)] - ends).double().square().flatten(1).mean(1)
    value = squared.mean().sqrt().item()
    error = (squared.std() / len(squared) ** 0.5).item() / (2 * value) if value else 0.0
    return Measurement(metric, value, error, reference, len(ends))
