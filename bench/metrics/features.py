"""Features, computed once: of samples for all metrics of a cell, of real images for all cells.

Real features and their moments are kept in a file named by the digest of what they were computed
from: the bytes of the images that the network is fed, its weights and its code. Another split,
another rounding or another network is another file; nothing is found by the name of a data set.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench.files import replacing
from bench.metrics.extractors import Extractor, content_digest, extract, load
from bench.metrics.gaussian_fits import Moments, moments

if TYPE_CHECKING:
    from bench.metrics.context import Context, References, ReferenceSet


def extractor_of(references: References) -> str:
    """Name of the extractor of the references."""
    assert references.extractor is not None, f"{references.dataset.name} has no extractor"
    return references.extractor


def declared(references: References) -> Extractor:
    """The extractor that the data set declares, with its weights."""
    name, weights = extractor_of(references), references.extractor_weights
    assert weights is not None, f"{name}: the extractor has no weights yet"
    return references.derived(
        ("extractor", name), lambda: load(name, weights).to(references.device)
    )


def of_samples(context: Context, name: str, network: Extractor) -> tuple[Tensor, ...]:
    """Features of each block of samples, ``[block, d]`` float32."""

    def compute() -> tuple[Tensor, ...]:
        images = context.references.dataset.to_uint8(torch.cat(context.blocks))
        return extract(network, images).split(context.settings.block)

    return context.derived(("features", name), compute)


def of_real(
    references: References, name: str, network: Extractor, reference: ReferenceSet
) -> tuple[Tensor, Moments[Tensor]]:
    """Features ``[n, d]`` float32 of a whole reference set, and their moments."""

    def compute() -> tuple[Tensor, Moments[Tensor]]:
        dataset = references.dataset
        images = dataset.to_uint8(dataset.train if reference == "train" else dataset.held_out)
        if references.cache is None:
            features = extract(network, images)
            return features, moments(features)
        # What the file holds is in its name too: of another version it may be something else.
        digest = hashlib.sha256(f"scatter {content_digest(network)}".encode())
        digest.update(f"{tuple(images.shape)}".encode())
        digest.update(images.contiguous().numpy().tobytes())
        path = references.cache / f"{digest.hexdigest()[:32]}.safetensors"
        if not path.is_file():
            features = extract(network, images)
            fit = moments(features)
            held = {"features": features, "mean": fit.mean, "scatter": fit.scatter}
            with replacing(path) as temporary:
                save_file(held, temporary)
        stored = load_file(path)
        return stored["features"], Moments(len(images), stored["mean"], stored["scatter"])

    return references.derived(("features", name, reference), compute)


def real_block(
    references: References, name: str, network: Extractor, reference: ReferenceSet, index: int
) -> tuple[Tensor, Moments[Tensor]]:
    """The same of one block of the reference set."""

    def compute() -> tuple[Tensor, Moments[Tensor]]:
        block = references.settings.block
        features, _ = of_real(references, name, network, reference)
        chosen = features[index * block : (index + 1) * block]
        return chosen, moments(chosen)

    return references.derived(("features", name, reference, index), compute)
