"""Data without end: laws that samples are drawn from for as long as somebody asks.

A set of such samples is a sequence: row ``i`` is the same whoever asks, in whatever portions, since
rows come in chunks of :data:`CHUNK` from a stream a chunk. Training that is unlimited draws each
batch from a stream of its own, by seed and update (:class:`bench.training.batches.FreshSamples`).
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple, Protocol

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from bench.options import number, refuse

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bench.data.mixture import GaussianMixture
    from bench.streams import Key

UNLIMITED: Final = "unlimited"

CHUNK: Final = 1024
"""Samples of one stream."""


def _training_samples(value: Any) -> Any:
    if value == UNLIMITED:
        return value
    remedy = f"write a whole number of at least 2, or {UNLIMITED}"
    try:
        count = number(value)
    except PydanticCustomError:
        close = difflib.get_close_matches(str(value), [UNLIMITED])
        raise refuse(f"{remedy}; did you mean {UNLIMITED!r}?" if close else remedy) from None
    if not isinstance(count, int | float) or count % 1 or count < 2:
        raise refuse(remedy)
    return int(count)


TrainingSamples = Annotated[int | Literal["unlimited"], BeforeValidator(_training_samples)]
"""How many samples are trained on; ``unlimited`` draws new ones for every update."""


class Drawn(NamedTuple):
    """Independent samples of a law.

    Attributes:
        samples: ``[n, *shape]`` float32, in model units.
        labels: class of each, ``[n]`` int64, or None.
    """

    samples: Tensor
    labels: Tensor | None


class Sampler(Protocol):
    """A law of data that samples are drawn from."""

    def draw(self, count: int, generator: torch.Generator) -> Drawn:
        """``count`` independent samples, on the host."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """What a file needs beside the exact law, from which the sampler is made again."""
        ...


@dataclass(frozen=True)
class LawSampler:
    """Draws of an exact law.

    Args:
        law: of the data, flat.
        shape: of one sample.
    """

    law: GaussianMixture
    shape: Sequence[int]

    def draw(self, count: int, generator: torch.Generator) -> Drawn:
        """``count`` independent samples; their class is that of their component."""
        points, component = self.law.draw(count, generator)
        samples = points.float().reshape(count, *self.shape)
        return Drawn(samples, None if self.law.labels is None else self.law.labels[component])

    def tensors(self) -> dict[str, Tensor]:
        """Nothing: a file holds the law itself."""
        return {}


def rows(sampler: Sampler, first: int, count: int, *key: Key) -> Drawn:
    """Rows ``first .. first + count - 1`` of the endless sequence ``key``.

    Whole chunks are drawn, and what was not asked for is dropped.
    """
    import torch

    from bench.streams import stream

    assert first >= 0 and count >= 1, (first, count)
    chunks = []
    for chunk in range(first // CHUNK, (first + count - 1) // CHUNK + 1):
        drawn = sampler.draw(CHUNK, stream(*key, chunk))
        asked = slice(max(first - chunk * CHUNK, 0), first + count - chunk * CHUNK)
        labels = None if drawn.labels is None else drawn.labels[asked]
        chunks.append(Drawn(drawn.samples[asked], labels))
    classes = [drawn.labels for drawn in chunks if drawn.labels is not None]
    samples = torch.cat([drawn.samples for drawn in chunks])
    return Drawn(samples, torch.cat(classes) if classes else None)
