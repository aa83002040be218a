"""Total error of a model and its solver: distance to the exact flow's end from the same noise.

``sqrt(mean over samples and coordinates of (end - exact end)^2)``. By the triangle inequality it is
at most the solver's error (``endpoint_rmse``, against the model's own fine solve) plus the field's
(``field_rmse``, the model's fine solve against the exact one), over the same samples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.metrics.declared import Needs
from bench.metrics.measurement import Measurement
from bench.metrics.measures.endpoint_rmse import rmse

if TYPE_CHECKING:
    from bench.metrics.context import Context

NEEDS = Needs(exact=True, exact_solve=True)
DIRECTIONS = {"total_rmse": "lower"}
SCALES = {"total_rmse": "log"}
TITLES = {"total_rmse": "endpoint RMSE to the exact flow"}


def compute(context: Context) -> list[Measurement]:
    """Over the samples that have an exact end."""
    assert context.exact_end is not None, "no exact solve"
    return [rmse("total_rmse", context.samples, context.exact_end, "exact_solve")]
