"""Metrics of generated samples: one file a metric, found by its file name, torch-free until used.

The file of a metric holds

* ``NEEDS``: a :class:`Needs`, what a data set and a cell must offer for the metric to apply,
* ``DIRECTIONS``: for each name the file measures whether ``lower`` or ``higher`` is better, or
  None where the best value is that of real data; ``{extractor}`` in a name stands for the data
  set's feature extractor (``fd_{extractor}`` becomes ``fd_digits``),
* ``SCALES``: for each name the scale of its statistics, ``log`` for what is always positive and
  varies by factors, ``linear`` for the rest,
* ``compute(context) -> list[Measurement]``, see :class:`bench.evaluation.Context`.

Unless its file says otherwise, a value is a mean over disjoint blocks of samples, each as large as
the set of real samples it is compared with: these distances depend on the sample size, so a model,
the real-vs-real floor and another model may only be compared at equal size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, Protocol

from bench.registry import discover, module

if TYPE_CHECKING:
    from torch import Tensor

    from bench.evaluation import Context

Direction = Literal["lower", "higher"] | None
Scale = Literal["log", "linear"]


@dataclass(frozen=True)
class Needs:
    """What a metric asks for.

    Attributes:
        kinds: kinds of data set it is defined for.
        extractor: a feature extractor of the data set.
        exact: the exact law of the data.
        levels: data of a finite number of grey levels.
        reference_solve: end points of a fine solve from the same noise.
        exact_solve: end points of the exact flow from the same noise.
    """

    kinds: tuple[str, ...] = ("vector", "image")
    extractor: bool = False
    exact: bool = False
    levels: bool = False
    reference_solve: bool = False
    exact_solve: bool = False


class Offers(Protocol):
    """What a data set offers: a :class:`bench.data.Description`, or the references of a sweep."""

    @property
    def kind(self) -> str:
        """``vector`` or ``image``."""
        ...

    @property
    def extractor(self) -> str | None:
        """Name of its feature extractor, if it has one."""
        ...

    @property
    def exact(self) -> bool:
        """Whether its law is known."""
        ...

    @property
    def levels(self) -> int | None:
        """Levels of its values, None for continuous ones."""
        ...


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


def metric_module(name: str) -> ModuleType:
    """The module ``bench/metrics/<name>.py``."""
    return module("metrics", name)


def applicable(
    data: Offers, *, reference_solve: bool = True, exact_solve: bool = True
) -> tuple[str, ...]:
    """Names of the metric files that apply to a data set, without importing torch.

    Args:
        data: what the data set offers.
        reference_solve: whether the cells have a fine solve to be compared with.
        exact_solve: whether they have one of the exact flow.
    """

    def applies(needs: Needs) -> bool:
        return (
            data.kind in needs.kinds
            and (data.extractor is not None or not needs.extractor)
            and (data.exact or not needs.exact)
            and (data.levels is not None or not needs.levels)
            and (reference_solve or not needs.reference_solve)
            and (exact_solve or not needs.exact_solve)
        )

    return tuple(name for name in discover("metrics") if applies(metric_module(name).NEEDS))


def declared(data: Offers, metric: str) -> dict[str, tuple[Direction, Scale]]:
    """Direction and scale of every name that one metric file measures on a data set."""
    file = metric_module(metric)
    return {
        measured_in(stem, data.extractor): (direction, file.SCALES[stem])
        for stem, direction in file.DIRECTIONS.items()
    }


def directions(data: Offers) -> dict[str, Direction]:
    """Every metric name of a data set and its direction."""
    files = applicable(data)
    return {n: direction for f in files for n, (direction, _) in declared(data, f).items()}


def scales(data: Offers) -> dict[str, Scale]:
    """Every metric name of a data set and the scale of its statistics."""
    return {n: scale for f in applicable(data) for n, (_, scale) in declared(data, f).items()}


def measured_in(stem: str, extractor: str | None) -> str:
    """The name of a metric in the features of an extractor.

    A Frechet distance is called FID with the Inception weights of 2015, and only then.
    """
    if extractor == "inception":
        stem = stem.replace("fd_{extractor}", "fid")
    return stem.format(extractor=extractor)


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
