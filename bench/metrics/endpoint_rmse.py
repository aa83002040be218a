"""Solver error without a feature network: distance to a fine solve from the same noise.

``sqrt(mean over samples and coordinates of (end - fine end)^2)``, in the units of the data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.metrics import Measurement, Needs

if TYPE_CHECKING:
    from bench.evaluation import Context

NEEDS = Needs(reference_solve=True)
DIRECTIONS = {"endpoint_rmse": "lower"}


def compute(context: Context) -> list[Measurement]:
    """Over the samples that have a fine solve; its error by the delta method."""
    fine = context.reference_end
    assert fine is not None, "no reference solve"
    squared = (context.samples[: len(fine)] - fine).double().square().flatten(1).mean(1)
    rmse = squared.mean().sqrt().item()
    error = (squared.std() / len(squared) ** 0.5).item() / (2 * rmse) if rmse else 0.0
    return [Measurement("endpoint_rmse", rmse, error, "reference_solve", len(fine))]
