"""Random streams keyed by what they are for.

A stream is a ``torch.Generator`` seeded from a digest of its key, such as
``(seed, "noise", update)``. Two formulations that share the key share the numbers, whatever else
they draw; nothing depends on the order of draws or on global state. Sampling noise has a stream a
sample, so that sample ``i`` is the same whatever the batch size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Key = int | str

HALF_STEP = 2.0**-24
"""Half the distance of float32 numbers below 1: the least that keeps a number inside (0, 1)."""


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


@dataclass(frozen=True)
class Draws:
    """Uniform random numbers of one training update, one stream a purpose.

    Every formulation draws its times under ``time``, and so shares them with the others.

    Args:
        seed, update: key of the streams, with the purpose.
        size: numbers a draw, one for each sample of the batch.
        device: where they are used.
    """

    seed: int
    update: int
    size: int
    device: torch.device

    def __call__(self, purpose: str) -> Tensor:
        """Numbers in (0, 1), ``[size]``, one in each of ``size`` equal strata, in random order."""
        generator = stream(self.seed, purpose, self.update)
        strata = torch.randperm(self.size, generator=generator)
        u = (strata + torch.rand(self.size, generator=generator)) / self.size
        return u.clamp(HALF_STEP, 1 - HALF_STEP).to(self.device)
