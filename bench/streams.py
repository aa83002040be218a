"""Random streams keyed by what they are for.

A stream is a ``torch.Generator`` seeded from a digest of its key, such as
``(seed, "noise", update)``. Two formulations that share the key share the numbers, whatever else
they draw; nothing depends on the order of draws or on global state. Sampling noise has a stream a
sample, so that sample ``i`` is the same whatever the batch size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

Key = int | str


def stream_seed(*key: Key) -> int:
    """A 63-bit seed: the head of SHA-256 over the key."""
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def stream(*key: Key, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for the stream ``key`` on ``device``."""
    return torch.Generator(device).manual_seed(stream_seed(*key))


def normal_per_sample(indices: Iterable[int], shape: Sequence[int], *key: Key) -> Tensor:
    """Standard normal numbers, one stream a sample: ``[len(indices), *shape]``, float32, CPU."""
    generator = torch.Generator()
    rows = []
    for index in indices:
        generator.manual_seed(stream_seed(*key, index))
        rows.append(torch.randn(tuple(shape), generator=generator))
    return torch.stack(rows)
