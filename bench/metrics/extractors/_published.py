"""Weights that were trained elsewhere: where their file lies, and that it is the right one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from bench.errors import InputError
from bench.files import sha256
from bench.metrics.extractors._base import extractor_module

SETTING = "extractor.weights"
"""Option of an experiment that names the file."""


def downloads() -> Path:
    """Where torch keeps weights that it has downloaded."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def package_data(package: str, folder: str) -> Callable[[], Path]:
    """Where the data of a package lie, or would lie beside this one's if it were installed."""

    def place() -> Path:
        spec = find_spec(package)
        locations = spec.submodule_search_locations if spec else None
        return Path(next(iter(locations))) / folder if locations else Path(package) / folder

    return place


@dataclass(frozen=True)
class Weights:
    """A file of published weights.

    Attributes:
        file: its name.
        digest: how the SHA-256 of its bytes begins.
        source: where to get it, for the message that asks for it.
        place: the folder in which it is looked for unless an experiment names the file.
    """

    file: str
    digest: str
    source: str
    place: Callable[[], Path]


def weights_file(name: str, setting: str | None) -> Path | None:
    """The verified file of the extractor ``name``; None for one without published weights.

    Args:
        name: of the extractor.
        given: ``extractor.weights`` of the experiment; None looks in the standard place.

    Raises:
        InputError: no such file, or another one.
    """
    weights: Weights | None = getattr(extractor_module(name), "WEIGHTS", None)
    if weights is None:
        return None
    path = weights.place() / weights.file if setting is None else Path(setting)
    wanted = f"get {weights.file} from {weights.source}; its SHA-256 begins with {weights.digest}"
    if not path.is_file():
        remedy = f"{wanted}; put it there, or name it as {SETTING}"
        raise InputError(f"extractor {name!r}: no weights at {path}; {remedy}")
    digest = sha256(path)
    if not digest.startswith(weights.digest):
        raise InputError(f"{path}: SHA-256 {digest[:8]}... is not that of {name!r}; {wanted}")
    return path


def published(path: Path) -> dict[str, Tensor]:
    """The weights in a verified file of torch; only tensors are read, no code of the file runs."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    return {key: value.contiguous() for key, value in state.items()}
