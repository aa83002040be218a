"""Mean negative log density of the samples under the exact law of the data, in nats.

Samples off the data's support raise it without bound, samples piled onto the modes lower it below
that of real data: the best value is the one in the floor table, the entropy of the data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.metrics.declared import Needs
from bench.metrics.measurement import Measurement

if TYPE_CHECKING:
    from bench.metrics.context import Context

NEEDS = Needs(exact=True)
DIRECTIONS = {"sample_nll": None}
SCALES = {"sample_nll": "linear"}
TITLES = {"sample_nll": "negative log density of samples under the exact law (nats)"}


def compute(context: Context) -> list[Measurement]:
    """Mean over all samples; they are independent, so the error is that of a mean."""
    from bench.metrics.law import places

    values = -places(context).log_density
    error = (values.std() / len(values) ** 0.5).item()
    return [Measurement("sample_nll", values.mean().item(), error)]
