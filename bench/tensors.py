"""Shape vocabulary.

``[b]`` is one number a sample, ``[b, ...]`` one array a sample, ``[n, ...]`` a whole set.
"""

from __future__ import annotations

from torch import Tensor


def expand(values: Tensor, like: Tensor) -> Tensor:
    """Reshape ``values [b]`` to ``[b, 1, ...]`` so that it multiplies ``like [b, ...]``."""
    return values.reshape(-1, *(1,) * (like.dim() - 1))


def per_sample_mean(values: Tensor) -> Tensor:
    """Mean over everything but the batch: ``[b, ...] -> [b]``."""
    return values.flatten(1).mean(1)


def per_sample_norm(values: Tensor) -> Tensor:
    """Euclidean norm over everything but the batch: ``[b, ...] -> [b]``."""
    return values.flatten(1).norm(dim=1)
