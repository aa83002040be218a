"""Data sets: one file a source, found by its file name, torch-free until it is built or loaded.

The file of a data set holds

* ``TITLE``: the name printed in tables and figures,
* ``KIND``: ``vector`` (points of the plane) or ``image`` (``[channels, height, width]``),
* ``SHAPE``: shape of one sample,
* ``PRIMARY``: the metric, a column value of the records, by which models are ranked,
* ``LEVELS``: number of grey levels of the source, or None for continuous data,
* ``EXTRACTOR``: name of the feature extractor in ``bench/extractors/``, or None,
* ``EXACT``: whether the density is known, as a Gaussian mixture,
* ``Options``: an :class:`~bench.declarations.OptionModel`,
* ``classes(options) -> int | None``: number of classes of its samples, None if they have none,
* ``build(options) -> DataSet``.

The stage ``prepare`` builds a data set once; every other stage reads its file with :func:`load`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from bench.declarations import discover, nearest
from bench.errors import InputError
from bench.files import read_json, replacing, sha256, write_json

if TYPE_CHECKING:
    from torch import Tensor

    from bench.oracles import GaussianMixture

TENSORS = "data.safetensors"
DESCRIPTION = "data.json"
MIXTURE = "mixture."


def data_module(name: str) -> ModuleType:
    """The module of the data set ``name``.

    Raises:
        InputError: no file of that name in ``bench/data/``.
    """
    known = discover("data")
    if name not in known:
        raise InputError(f"unknown data set {name!r}; {nearest(name, known)}")
    return importlib.import_module(f"bench.data.{name}")


@dataclass(frozen=True)
class DataSet:
    """A data set in model units: disjoint training and held-out samples.

    Attributes:
        name: file name of its source in ``bench/data/``.
        kind: ``vector`` or ``image``.
        train, held_out: ``[N, *shape]``, float32; images of grey levels lie in [-1, 1].
        levels: number of equidistant grey levels in [-1, 1], or None for continuous data.
        sigma_data: standard deviation of all training values about their common mean.
        train_labels, held_out_labels: class of each sample, ``[N]`` int64, or None.
        mixture: the exact law of the data, or None where it is not known.
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

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(self.train.shape[1:])

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
        """
        import torch

        assert self.kind == "image", f"{self.name} has no images"
        shown = self.quantise(samples).clamp(-1, 1)
        grey = ((shown + 1) * 127.5).round().to(torch.uint8)
        return grey.expand(-1, 3, -1, -1)


def drawn(name: str, law: GaussianMixture, counts: tuple[int, int]) -> DataSet:
    """A data set of independent draws from an exact law whose components have classes.

    Args:
        name: of the data set, whose kind and shape it has.
        law: of the data.
        counts: training and held-out samples; each kind has a stream of its own.
    """
    from bench.streams import stream

    assert law.labels is not None, f"{name}: its components have no classes"
    module = data_module(name)
    samples, labels = {}, {}
    for part, count in zip(("train", "held_out"), counts, strict=True):
        points, component = law.draw(count, stream(name, part))
        samples[part] = points.float().reshape(count, *module.SHAPE)
        labels[part] = law.labels[component]
    return DataSet(
        name=name,
        kind=module.KIND,
        train=samples["train"],
        held_out=samples["held_out"],
        levels=module.LEVELS,
        sigma_data=samples["train"].std().item(),
        train_labels=labels["train"],
        held_out_labels=labels["held_out"],
        mixture=law,
    )


def save(dataset: DataSet, folder: Path) -> dict[str, Any]:
    """Write a data set under ``folder`` and return its description, as stored beside it."""
    from safetensors.torch import save_file

    tensors = {"train": dataset.train, "held_out": dataset.held_out}
    if dataset.train_labels is not None and dataset.held_out_labels is not None:
        tensors["train_labels"] = dataset.train_labels
        tensors["held_out_labels"] = dataset.held_out_labels
    if dataset.mixture is not None:
        law = dataset.mixture.tensors()
        tensors |= {MIXTURE + name: value.contiguous() for name, value in law.items()}
    with replacing(folder / TENSORS) as temporary:
        save_file(tensors, temporary)
    description = {
        "name": dataset.name,
        "kind": dataset.kind,
        "shape": list(dataset.shape),
        "levels": dataset.levels,
        "sigma_data": dataset.sigma_data,
        "train": len(dataset.train),
        "held_out": len(dataset.held_out),
        "sha256": sha256(folder / TENSORS),
    }
    write_json(folder / DESCRIPTION, description)
    return description


def load(folder: Path) -> DataSet:
    """Read a data set written by :func:`save`.

    Raises:
        InputError: the tensors are not the ones that the description was written for.
    """
    from safetensors.torch import load_file

    from bench.oracles import GaussianMixture

    description = read_json(folder / DESCRIPTION)
    if sha256(folder / TENSORS) != description["sha256"]:
        raise InputError(f"{folder / TENSORS}: not the data of {DESCRIPTION}; delete both, rerun")
    tensors = load_file(folder / TENSORS)
    law = {k.removeprefix(MIXTURE): v for k, v in tensors.items() if k.startswith(MIXTURE)}
    return DataSet(
        name=description["name"],
        kind=description["kind"],
        train=tensors["train"],
        held_out=tensors["held_out"],
        levels=description["levels"],
        sigma_data=description["sigma_data"],
        train_labels=tensors.get("train_labels"),
        held_out_labels=tensors.get("held_out_labels"),
        mixture=GaussianMixture.from_tensors(law) if law else None,
    )
