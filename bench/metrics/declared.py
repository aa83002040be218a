"""Metrics of generated samples: one file a metric, found by its file name, torch-free until used.

The file of a metric holds

* ``NEEDS``: a :class:`Needs`, what a data set and a cell must offer for the metric to apply,
* ``DIRECTIONS``: for each name the file measures whether ``lower`` or ``higher`` is better, or
  None where the best value is that of real data; ``{extractor}`` in a name stands for the data
  set's feature extractor (``fd_{extractor}`` becomes ``fd_digits``),
* ``SCALES``: for each name the scale of its statistics, which no interval leaves: ``log`` for what
  is always positive and varies by factors, ``logit`` for shares between 0 and 1, ``linear`` for
  what may be of either sign,
* ``TITLES``: for each name what it is called in tables and figures; ``{features}`` stands for what
  the extractor's network gives,
* ``compute(context) -> list[Measurement]``, see :class:`bench.metrics.context.Context`.

Unless its file says otherwise, a value is a mean over disjoint blocks of samples, each as large as
the set of real samples it is compared with: these distances depend on the sample size, so a model,
the real-vs-real floor and another model may only be compared at equal size.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Literal, Protocol

from bench.registry import discover, module

Direction = Literal["lower", "higher"] | None


Scale = Literal["log", "linear", "logit"]

EXTRACTOR = "{extractor}"
"""What stands in a name for the data set's feature extractor."""


@dataclass(frozen=True)
class Needs:
    """What a metric asks for.

    Attributes:
        kinds: kinds of data set it is defined for.
        extractor: a feature extractor of the data set.
        exact: the exact law of the data.
        levels: data of a finite number of grey levels.
        finite: a training set that could be copied; training that is unlimited has none.
        reference_solve: end points of a fine solve from the same noise.
        exact_solve: end points of the exact flow from the same noise.
    """

    kinds: tuple[str, ...] = ("vector", "image")
    extractor: bool = False
    exact: bool = False
    levels: bool = False
    finite: bool = False
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

    @property
    def unlimited(self) -> bool:
        """Whether every update was trained on new samples."""
        ...


def metric_module(name: str) -> ModuleType:
    """The module ``bench/metrics/measures/<name>.py``."""
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
            and (not data.unlimited or not needs.finite)
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


@cache
def scale_of(metric: str) -> Scale | None:
    """Scale that some file declares for a metric of this name; None where no file measures it.

    A name may fit two stems, as ``fd_digits_inf`` fits ``fd_{extractor}`` too: the one that leaves
    the least to the extractor's name is meant.
    """
    fitting = {
        len(stem.replace(EXTRACTOR, "")): scale
        for file in discover("metrics")
        for stem, scale in metric_module(file).SCALES.items()
        if metric == measured_in(stem, "inception") or _pattern(stem).fullmatch(metric)
    }
    return fitting[max(fitting)] if fitting else None


def _pattern(stem: str) -> re.Pattern[str]:
    """The names that a stem stands for."""
    return re.compile("[a-z0-9_]+".join(map(re.escape, stem.split(EXTRACTOR))))


def measured_in(stem: str, extractor: str | None) -> str:
    """The name of a metric in the features of an extractor.

    A Frechet distance is called FID with the Inception weights of 2015, and only then.
    """
    if extractor == "inception":
        stem = stem.replace("fd_{extractor}", "fid")
    return stem.format(extractor=extractor)


def titles(extractor: str, features: str) -> dict[str, str]:
    """What every metric is called where the data set has a feature extractor, by name.

    Args:
        extractor: its name.
        features: what its features are called.
    """
    stems = {
        stem: title
        for name in discover("metrics")
        for stem, title in metric_module(name).TITLES.items()
    }
    # A name that is told as it stands comes last, and is not that of an extractor by chance.
    in_order = sorted(stems.items(), key=lambda told: EXTRACTOR not in told[0])
    return {
        measured_in(stem, extractor): _titled(stem, title, extractor).format(features=features)
        for stem, title in in_order
    }


def _titled(stem: str, title: str, extractor: str) -> str:
    """The title of a metric in the features of an extractor; see :func:`measured_in` for FID."""
    if extractor != "inception" or EXTRACTOR not in stem:
        return title
    return title.replace("Fréchet distance ({features})", "FID").replace("Fréchet distance", "FID")
