"""The file of a data set: written once by the stage ``prepare``, read by every other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.data.dataset import DataSet
from bench.data.endless import LawSampler, Sampler
from bench.errors import InputError
from bench.files import read_json, replacing, sha256, write_json
from bench.registry import module

if TYPE_CHECKING:
    from torch import Tensor

    from bench.data.mixture import GaussianMixture

TENSORS = "data.safetensors"


DESCRIPTION = "data.json"


MIXTURE = "mixture."


SAMPLER = "sampler."


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
    if dataset.sampler is not None:
        told = dataset.sampler.tensors()
        tensors |= {SAMPLER + name: value.contiguous() for name, value in told.items()}
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
    if dataset.sampler is not None:
        description |= {"endless": True, "unlimited": dataset.unlimited}
    write_json(folder / DESCRIPTION, description)
    return description


def load(folder: Path) -> DataSet:
    """Read a data set written by :func:`save`.

    Raises:
        InputError: the tensors are not the ones that the description was written for.
    """
    from safetensors.torch import load_file

    from bench.data.mixture import GaussianMixture

    description = read_json(folder / DESCRIPTION)
    if sha256(folder / TENSORS) != description["sha256"]:
        raise InputError(f"{folder / TENSORS}: not the data of {DESCRIPTION}; delete both, rerun")
    tensors = load_file(folder / TENSORS)
    mixture = GaussianMixture.from_tensors(law) if (law := _below(MIXTURE, tensors)) else None
    return DataSet(
        name=description["name"],
        kind=description["kind"],
        train=tensors["train"],
        held_out=tensors["held_out"],
        levels=description["levels"],
        sigma_data=description["sigma_data"],
        train_labels=tensors.get("train_labels"),
        held_out_labels=tensors.get("held_out_labels"),
        mixture=mixture,
        sampler=_sampler(description, tensors, mixture) if description.get("endless") else None,
        unlimited=description.get("unlimited", False),
    )


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _sampler(
    description: Mapping[str, Any], tensors: Mapping[str, Tensor], law: GaussianMixture | None
) -> Sampler:
    """What draws further samples: of the exact law, or what the file of the data set makes."""
    shape = tuple(description["shape"])
    if law is not None:
        return LawSampler(law, shape)
    made: Sampler = module("data", description["name"]).sampler(_below(SAMPLER, tensors), shape)
    return made
