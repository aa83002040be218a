"""The extractor's interface, and how one is found and loaded; see the package's docstring."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from pathlib import Path
from types import ModuleType

from safetensors.torch import load_file
from torch import Tensor, nn

from bench.declarations import discover, nearest
from bench.errors import InputError


class Extractor(nn.Module, ABC):
    """A classifier that is measured in the space of its features."""

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """Features ``[n, features]`` of images ``[n, 3, height, width]`` uint8."""

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[n, classes]`` of the same images."""


def extractor_module(name: str) -> ModuleType:
    """The module of the extractor ``name``.

    Raises:
        InputError: no file of that name in ``bench/extractors/``.
    """
    known = discover("extractors")
    if name not in known:
        raise InputError(f"unknown extractor {name!r}; {nearest(name, known)}")
    return importlib.import_module(f"bench.extractors.{name}")


def load(name: str, weights: Path) -> Extractor:
    """The extractor ``name`` with the weights of a safetensors file, frozen."""
    network: Extractor = extractor_module(name).build()
    network.load_state_dict(load_file(weights))
    network.eval().requires_grad_(False)
    return network
