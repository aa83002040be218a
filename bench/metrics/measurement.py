"""A measured value, and how one is taken over blocks of samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bench.metrics.declared import applicable, declared, metric_module

if TYPE_CHECKING:
    from torch import Tensor

    from bench.metrics.context import Context


@dataclass(frozen=True)
class Measurement:
    """One measured value; the fields are columns of the record.

    Attributes:
        metric: name of the value.
        value: mean over blocks; None where it is refused.
        value_se: standard error of resampling (not of retraining); None from a single block.
        reference_set: what the samples were compared with, or None.
        n_reference: samples of the reference set in each comparison.
        extractor: feature extractor, or None.
        refusal: why there is no value, or None.
    """

    metric: str
    value: float | None
    value_se: float | None = None
    reference_set: str | None = None
    n_reference: int | None = None
    extractor: str | None = None
    refusal: str | None = None

    def columns(self) -> dict[str, Any]:
        """The fields as columns of a record; the refusal of a value is the row's error.

        The status of a row is that of its cell, which has been sampled and has other values.
        """
        columns = asdict(self)
        why = columns.pop("refusal")
        return columns if why is None else columns | {"error": why}


def evaluate(context: Context, only: str | None = None) -> list[Measurement]:
    """All metrics that apply to the samples of a context, or those of the file that measures one.

    Args:
        context: the samples.
        only: the name of a metric.

    Raises:
        ValueError: samples that are not finite.
    """
    broken = int((~context.samples.flatten(1).isfinite().all(dim=1)).sum())
    if broken:
        raise ValueError(f"{broken} of {len(context.samples)} samples are not finite")
    names = applicable(
        context.references,
        reference_solve=context.reference_end is not None,
        exact_solve=context.exact_end is not None,
    )
    if only is not None:
        names = tuple(name for name in names if only in declared(context.references, name))
    return [m for name in names for m in metric_module(name).compute(context)]


def against_held_out(
    context: Context, metric: str, distance: Callable[[Tensor, Tensor], float]
) -> Measurement:
    """A distance of each block to a block of held-out samples, mean over blocks."""
    real = context.references.blocks("held_out")
    values = [distance(context.blocks[i], real[j]) for i, j in context.against("held_out")]
    block = context.settings.block
    return over_blocks(metric, values, reference_set="held_out", n_reference=block)


def over_blocks(metric: str, values: Sequence[float], **columns: Any) -> Measurement:
    """Mean of one value a block, with its standard error where there are several blocks."""
    count = len(values)
    mean = math.fsum(values) / count
    error = None
    if count > 1:
        error = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (count - 1) / count)
    return Measurement(metric, mean, error, **columns)


def refused(metric: str, why: str, **columns: Any) -> Measurement:
    """A value that cannot be measured with these samples, and why."""
    return Measurement(metric, None, refusal=why, **columns)
