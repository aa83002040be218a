"""Data sets: one file a source, found by its file name, torch-free until it is built or loaded.

The file of a data set holds

* ``Options``: a :class:`DataOptions`,
* ``describe(options) -> Description``: what can be said of the data without reading them,
* ``build(options) -> DataSet``.

The stage ``prepare`` builds a data set once; every other stage reads its file with :func:`load`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, SerializerFunctionWrapHandler, model_serializer
from pydantic_core import PydanticCustomError

from bench.data.endless import UNLIMITED, LawSampler, Sampler, TrainingSamples, rows
from bench.errors import InputError
from bench.options import OptionModel
from bench.registry import discover, module, nearest

if TYPE_CHECKING:
    from torch import Tensor

    from bench.data.mixture import GaussianMixture


def data_module(name: str) -> ModuleType:
    """The module of the data set ``name``.

    Raises:
        InputError: no file of that name in ``bench/data/sources/``.
    """
    names = discover("data")
    if name not in names:
        raise InputError(f"unknown data set {name!r}; {nearest(name, names)}")
    return module("data", name)


def _extractor(name: str) -> str:
    names = discover("extractors")
    if name not in names:
        remedy = f"unknown extractor; {nearest(name, names)}"
        raise PydanticCustomError("refused", "{remedy}", {"remedy": remedy})
    return name


ExtractorName = Annotated[str, AfterValidator(_extractor)]
"""A feature extractor: the name of a file in ``bench/metrics/extractors/``."""


class DataOptions(OptionModel):
    """Base of a data set's options.

    Attributes:
        aside: options that no sample depends on, such as the folder of files whose content is
            known: what is made from the samples stands when they change.
        later: options that were added to a data set with a default that leaves it as it was. They
            are named only where they differ from it: results that stand keep their digests.
    """

    aside: ClassVar[frozenset[str]] = frozenset()
    later: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _named(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields, named = type(self).model_fields, plain(self)
        return {k: v for k, v in named.items() if k not in self.later or v != fields[k].default}


@dataclass(frozen=True)
class Description:
    """What the options of a data set say of it, before it is built.

    Attributes:
        title: the name printed in tables and figures.
        kind: ``vector`` (points ``[d]``) or ``image`` (``[channels, height, width]``).
        shape: of one sample.
        primary: the metric, a column value of the records, by which models are ranked.
        companions: metrics that see what the primary one misses: samples that cannot be told from
            real ones cannot be told by any of them.
        classes: number of classes of its samples, None if they have none.
        levels: number of levels of a pixel's channel in the source, None for continuous data.
        extractor: name of the feature extractor in ``bench/metrics/extractors/``, or None.
        exact: whether the density is known, as a Gaussian mixture.
        unlimited: whether every update is trained on new samples: there is no training set that
            could be copied.
    """

    title: str
    kind: Literal["vector", "image"]
    shape: tuple[int, ...]
    primary: str
    classes: int | None = None
    levels: int | None = None
    extractor: str | None = None
    exact: bool = False
    unlimited: bool = False
    companions: tuple[str, ...] = ()


def described(name: str, options: Mapping[str, Any]) -> Description:
    """The description of the data set ``name`` with these options."""
    module = data_module(name)
    description: Description = module.describe(module.Options(**options))
    return description


def numeric_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that samples depend on."""
    aside = data_module(name).Options.aside
    return {option: value for option, value in options.items() if option not in aside}


@dataclass(frozen=True)
class DataSet:
    """A data set in model units: disjoint training and held-out samples.

    Attributes:
        name: file name of its source in ``bench/data/sources/``.
        kind: ``vector`` or ``image``.
        train, held_out: ``[N, *shape]``, float32; images of finitely many levels lie in [-1, 1].
        levels: number of equidistant levels in [-1, 1], or None for continuous data.
        sigma_data: standard deviation of all training values about their common mean.
        train_labels, held_out_labels: class of each sample, ``[N]`` int64, or None.
        mixture: the exact law of the data, or None where it is not known.
        sampler: what draws further held-out samples, as many as are asked for; None where there
            are no more than ``held_out``.
        unlimited: whether training draws new samples for every update. ``train`` then holds draws
            of the same law that no model is trained on: the floor and the fitted Gaussian need
            some real samples that are not held out.
    """

    name: str
    kind: Literal["vector", "image"]
    train: Tensor
    held_out: Tensor
    levels: int | None
    sigma_data: float
    train_labels: Tensor | None = None
    held_out_labels: Tensor | None = None
    mixture: GaussianMixture | None = None
    sampler: Sampler | None = None
    unlimited: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(self.train.shape[1:])

    def at_least(self, *, train: int = 0, held_out: int = 0) -> DataSet:
        """The same data with so many samples of each set, where there is no end of them.

        The samples that were there are the first ones; a set that ends is left as it is.
        """
        more = self
        if self.sampler is not None and held_out > len(self.held_out):
            drawn_rows = rows(self.sampler, 0, held_out, self.name, "held_out")
            more = replace(more, held_out=drawn_rows.samples, held_out_labels=drawn_rows.labels)
        if self.sampler is not None and self.unlimited and train > len(self.train):
            drawn_rows = rows(self.sampler, 0, train, self.name, "train")
            more = replace(more, train=drawn_rows.samples, train_labels=drawn_rows.labels)
        return more

    def to_levels(self, samples: Tensor) -> Tensor:
        """Nearest level of each value, ``0 .. levels - 1`` as floats; exact for real data."""
        assert self.levels is not None, f"{self.name} is continuous: it has no levels"
        top = self.levels - 1
        return ((samples + 1) * (top / 2)).round().clamp(0, top)

    def quantise(self, samples: Tensor) -> Tensor:
        """Samples as the source would store them: rounded to its levels, or unchanged."""
        if self.levels is None:
            return samples
        return self.to_levels(samples) * (2 / (self.levels - 1)) - 1

    def to_uint8(self, samples: Tensor) -> Tensor:
        """Images to look at, or for a feature extractor: ``[N, 3, H, W]`` uint8.

        Grey becomes three equal channels; [-1, 1] becomes 0..255, and what lies beyond is clipped.
        Of images of 256 levels it is the inverse of :func:`from_uint8`.
        """
        import torch

        assert self.kind == "image", f"{self.name} has no images"
        shown = self.quantise(samples).clamp(-1, 1)
        bytes_ = ((shown + 1) * 127.5).round().to(torch.uint8)
        return bytes_.expand(-1, 3, -1, -1)


def from_uint8(
    name: str,
    train: Tensor,
    held_out: Tensor,
    train_labels: Tensor | None = None,
    held_out_labels: Tensor | None = None,
) -> DataSet:
    """A data set of 8-bit images.

    Args:
        name: of the data set.
        train, held_out: ``[N, channels, height, width]`` uint8; 0 becomes -1, and 255 becomes 1.
        train_labels, held_out_labels: class of each image, ``[N]`` int64, or None.
    """
    levels = 256
    scaled = [images.float() * (2 / (levels - 1)) - 1 for images in (train, held_out)]
    return DataSet(
        name=name,
        kind="image",
        train=scaled[0],
        held_out=scaled[1],
        levels=levels,
        sigma_data=scaled[0].std().item(),
        train_labels=train_labels,
        held_out_labels=held_out_labels,
    )


def drawn(
    name: str,
    description: Description,
    law: GaussianMixture,
    counts: tuple[TrainingSamples, int],
) -> DataSet:
    """A data set of independent draws from an exact law whose components have classes.

    Args:
        name: of the data set.
        description: of the data set, whose kind and shape it has.
        law: of the data.
        counts: training and held-out samples; each kind has a stream of its own. Where training is
            unlimited, those that are held out have no end either.
    """
    from bench.streams import stream

    assert law.labels is not None, f"{name}: its components have no classes"
    train, held_out = counts
    if train == UNLIMITED:
        return endless(name, description, LawSampler(law, description.shape), counts, law)
    samples, labels = {}, {}
    for part, count in (("train", train), ("held_out", held_out)):
        points, component = law.draw(count, stream(name, part))
        samples[part] = points.float().reshape(count, *description.shape)
        labels[part] = law.labels[component]
    return DataSet(
        name=name,
        kind=description.kind,
        train=samples["train"],
        held_out=samples["held_out"],
        levels=description.levels,
        sigma_data=samples["train"].std().item(),
        train_labels=labels["train"],
        held_out_labels=labels["held_out"],
        mixture=law,
    )


def endless(
    name: str,
    description: Description,
    sampler: Sampler,
    counts: tuple[TrainingSamples, int],
    law: GaussianMixture | None = None,
) -> DataSet:
    """A data set whose held-out samples have no end, and its training samples none if asked.

    Args:
        name: of the data set.
        description: of the data set, whose kind, shape and levels it has.
        sampler: of its law.
        counts: samples that training has, or ``unlimited``; held-out samples that a file keeps.
            Of unlimited training data it keeps as many as of these, to be looked at.
        law: the exact one, where it is known.
    """
    count, held_out_count = counts
    unlimited = count == UNLIMITED
    train = rows(sampler, 0, held_out_count if count == UNLIMITED else count, name, "train")
    held_out = rows(sampler, 0, held_out_count, name, "held_out")
    return DataSet(
        name=name,
        kind=description.kind,
        train=train.samples,
        held_out=held_out.samples,
        levels=description.levels,
        sigma_data=train.samples.std().item(),
        train_labels=train.labels,
        held_out_labels=held_out.labels,
        mixture=law,
        sampler=sampler,
        unlimited=unlimited,
    )
