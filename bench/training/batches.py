"""Batches of noise and data: fresh noise, fresh data too, stored pairs, parts of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor

from bench.data.endless import Sampler
from bench.streams import Draws, stream
from bench.tensors import expand, onto
from bench.training.couplings import Pair


class Source(Protocol):
    """Where batches come from."""

    def batch(self, update: int, size: int) -> Pair:
        """The pair of ``update``, before the coupling."""
        ...


@lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, count: int) -> Tensor:
    return torch.randperm(count, generator=stream(seed, "order", epoch))


def order(seed: int, update: int, size: int, count: int) -> Tensor:
    """Indices ``[size]`` of an update: consecutive slices of one permutation an epoch."""
    position = torch.arange(update * size, (update + 1) * size)
    epochs = torch.div(position, count, rounding_mode="floor")
    picked = torch.empty_like(position)
    for epoch in epochs.unique().tolist():
        mask = epochs == epoch
        picked[mask] = _permutation(seed, int(epoch), count)[position[mask] % count]
    return picked


@dataclass(frozen=True)
class FreshNoise:
    """Training data ``[n, ...]`` with new noise for every update.

    Args:
        data: on the device of the training.
        seed: key of order, noise and mirroring.
        label: class of each sample, ``[n]``.
        flip: mirror half of the images, by a toss for each sample of an update.
    """

    data: Tensor
    seed: int
    label: Tensor | None = None
    flip: bool = False

    def batch(self, update: int, size: int) -> Pair:
        """The pair of ``update``, before the coupling."""
        index = onto(order(self.seed, update, size, len(self.data)), self.data.device)
        data = self.data[index]
        if self.flip:
            data = _mirrored(data, self.seed, update)
        return Pair(_noise(data, self.seed, update), data, _rows(self.label, index))


@dataclass(frozen=True)
class FreshSamples:
    """Training data without end: new samples and new noise for every update.

    A batch is drawn when it is needed, from a stream of its own, and kept by nobody: a run that is
    resumed draws the same ones. Noise, times and mirroring are those of :class:`FreshNoise`.

    Args:
        sampler: of the law of the data.
        seed: key of samples, noise and mirroring.
        device: of the training.
        labelled: whether the classes of the samples are told.
        flip: mirror half of the images, by a toss for each sample of an update.
    """

    sampler: Sampler
    seed: int
    device: torch.device
    labelled: bool = False
    flip: bool = False

    def batch(self, update: int, size: int) -> Pair:
        """The pair of ``update``, before the coupling."""
        drawn, label = self.sampler.draw(size, stream(self.seed, "fresh", update))
        data = onto(drawn, self.device)
        if self.flip:
            data = _mirrored(data, self.seed, update)
        if label is not None:
            label = onto(label, self.device) if self.labelled else None
        return Pair(_noise(data, self.seed, update), data, label)


@dataclass(frozen=True)
class StoredPairs:
    """Pairs ``[n, ...]`` of an earlier stage, in the order of their index."""

    noise: Tensor
    data: Tensor
    seed: int
    label: Tensor | None = None

    def batch(self, update: int, size: int) -> Pair:
        """The pair of ``update``, before the coupling."""
        index = onto(order(self.seed, update, size, len(self.data)), self.data.device)
        return Pair(self.noise[index], self.data[index], _rows(self.label, index))


def _noise(data: Tensor, seed: int, update: int) -> Tensor:
    """The noise of an update, where ``data`` are."""
    noise = torch.randn(data.shape, generator=stream(seed, "noise", update))
    return onto(noise, data.device)


def _mirrored(images: Tensor, seed: int, update: int) -> Tensor:
    """Images of which half are mirrored."""
    tossed = torch.rand(len(images), generator=stream(seed, "flip", update)) < 0.5
    return torch.where(expand(onto(tossed, images.device), images), images.flip(-1), images)


def _rows(label: Tensor | None, index: Tensor | slice) -> Tensor | None:
    return None if label is None else label[index]


@dataclass(frozen=True)
class PartDraws(Draws):
    """The numbers of some samples of an update: those that the whole update would draw for them.

    Args:
        part: which samples.
    """

    part: slice

    def __call__(self, purpose: str) -> Tensor:
        """Numbers in (0, 1) of the part; see :class:`bench.streams.Draws`."""
        whole = Draws(self.seed, self.update, self.size, torch.device("cpu"))(purpose)
        return onto(whole[self.part], self.device)
