"""The extractor's interface, and how one is found, loaded and fed; see the package's docstring."""

from __future__ import annotations

import hashlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Final, Self

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from bench.errors import InputError
from bench.registry import discover, module, nearest

BATCH: Final = 128
"""Images in each batch: one size, so that no value depends on how a set is divided."""


class Extractor(nn.Module, ABC):
    """A network that is measured in the space of its features."""

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """Features ``[n, features]`` of images ``[n, 3, height, width]`` uint8."""

    @classmethod
    def restored(cls, state: Mapping[str, Tensor]) -> Self:
        """A network with the weights ``state``."""
        network = cls()
        network.load_state_dict(state)
        return network


class Classifier(Extractor):
    """An extractor that the workflow trains, by the logits that it makes of its features."""

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[n, classes]`` of images ``[n, 3, height, width]`` uint8."""


def extractor_module(name: str) -> ModuleType:
    """The module of the extractor ``name``.

    Raises:
        InputError: no file of that name in ``bench/metrics/extractors/``.
    """
    names = discover("extractors")
    if name not in names:
        raise InputError(f"unknown extractor {name!r}; {nearest(name, names)}")
    return module("extractors", name)


def load(name: str, weights: Path) -> Extractor:
    """The extractor ``name`` with the weights of a safetensors file, frozen."""
    network: Extractor = extractor_module(name).build.restored(load_file(weights))
    network.eval().requires_grad_(False)
    return network


@torch.no_grad()
def extract(network: Extractor, images: Tensor) -> Tensor:
    """Features ``[n, features]`` float32 of ``images``, in batches of :data:`BATCH`.

    Images and features are on the host; the network computes where its weights are.

    The last batch is filled up with black images. Libraries choose their kernels by the shape of a
    batch; with one shape the features of an image are the same bits whichever set it is part of.
    """
    features, device = [], _device(network)
    for batch in images.split(BATCH):
        missing = BATCH - len(batch)
        whole = torch.cat([batch, batch.new_zeros(missing, *batch.shape[1:])])
        features.append(network.features(whole.to(device))[: len(batch)].cpu())
    return torch.cat(features)


def _device(network: Extractor) -> torch.device:
    """Where the weights are, and the host for a network that has none."""
    weights = network.state_dict().values()
    return next((x.device for x in weights), torch.device("cpu"))


def content_digest(network: Extractor) -> str:
    """SHA-256 of what decides features: weights, code, batch size, version of torch, device.

    On a GPU so does whether products are rounded to TF32.
    """
    where = _device(network).type
    rounded = where == "cuda" and torch.backends.cudnn.allow_tf32
    digest = hashlib.sha256(f"{BATCH}/{torch.__version__}/{where}/{rounded}".encode())
    files = {inspect.getfile(type(part)) for part in network.modules()} | {__file__}
    for code in sorted(hashlib.sha256(Path(file).read_bytes()).digest() for file in files):
        digest.update(code)
    for name, weights in sorted(network.state_dict().items()):
        digest.update(f"{name}/{tuple(weights.shape)}/{weights.dtype}".encode())
        digest.update(weights.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
