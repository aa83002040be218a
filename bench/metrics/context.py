"""What a metric sees: generated samples, and the real samples they are compared with."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar, cast

import torch
from torch import Tensor

from bench.data.dataset import DataSet
from bench.errors import InputError

if TYPE_CHECKING:
    pass

ReferenceSet = Literal["train", "held_out"]


HOST = torch.device("cpu")


T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """Sizes that the values depend on.

    Attributes:
        block: samples in each comparison, generated and real alike.
        kid_subsets, kid_subset_size: random subsets a block, for KID.
        neighbours: neighbours that span the manifold, for precision and recall.
        flip: whether training saw mirrored images; a mirrored copy is a copy then.
        bandwidths: widths of the kernels of ``mmd_modes``, in model units; empty for the law's own.
        assigned: most points in an exact assignment; a larger block is split for it. None for all.
    """

    block: int
    kid_subsets: int
    kid_subset_size: int
    neighbours: int
    flip: bool = False
    bandwidths: tuple[float, ...] = ()
    assigned: int | None = None


@dataclass(frozen=True)
class References:
    """Real samples in disjoint blocks, and what metrics derive from them once a process.

    Args:
        dataset: the data.
        settings: sizes.
        extractor_weights: file of the data set's feature extractor, if it has one.
        extractor: name of that extractor.
        cache: folder in which features of real samples are kept for other processes, or None.
        device: where the extractor computes; samples and features are on the host.

    Raises:
        InputError: a reference set smaller than one block.
    """

    dataset: DataSet
    settings: Settings
    extractor_weights: Path | None = None
    extractor: str | None = None
    cache: Path | None = None
    device: torch.device = HOST
    _derived: dict[Hashable, object] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        smallest = min(len(self.dataset.train), len(self.dataset.held_out))
        if self.settings.block > smallest:
            raise InputError(
                f"sweep.block: {self.settings.block} exceeds the {smallest} real samples of "
                f"{self.dataset.name}; lower it"
            )

    @property
    def kind(self) -> str:
        """Kind of the data."""
        return self.dataset.kind

    @property
    def levels(self) -> int | None:
        """Levels of the data."""
        return self.dataset.levels

    @property
    def exact(self) -> bool:
        """Whether the law of the data is known."""
        return self.dataset.mixture is not None

    @property
    def unlimited(self) -> bool:
        """Whether every update was trained on new samples."""
        return self.dataset.unlimited

    def blocks(self, name: ReferenceSet) -> tuple[Tensor, ...]:
        """The whole blocks of a reference set, in its order; a remainder is left out."""
        samples = self.dataset.train if name == "train" else self.dataset.held_out
        return whole_blocks(samples, self.settings.block)

    def derived(self, key: Hashable, compute: Callable[[], T]) -> T:
        """``compute()``, kept under ``key`` for every later cell of the process."""
        return _once(self._derived, key, compute)


@dataclass(frozen=True)
class Context:
    """One cell: samples of one model from one noise bank.

    Attributes:
        samples: ``[N, *shape]`` in model units, on the CPU, as the sampler left them; N is a
            multiple of the block.
        references: the real samples.
        reference_end: ``[M, *shape]``, M <= N, end points of a fine solve from the noise of the
            first M samples; None for samplers that solve no equation.
        exact_end: the same of the exact flow of the data; None where it is not known, or not what
            the model should have learnt.
    """

    samples: Tensor
    references: References
    reference_end: Tensor | None = None
    exact_end: Tensor | None = None
    _derived: dict[Hashable, object] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if len(self.samples) == 0 or len(self.samples) % self.settings.block:
            raise ValueError(
                f"{len(self.samples)} samples are no multiple of the block {self.settings.block}"
            )

    @property
    def settings(self) -> Settings:
        """Sizes that the values depend on."""
        return self.references.settings

    @cached_property
    def blocks(self) -> tuple[Tensor, ...]:
        """Blocks of the samples, rounded to the levels of the data."""
        return whole_blocks(self.references.dataset.quantise(self.samples), self.settings.block)

    def derived(self, key: Hashable, compute: Callable[[], T]) -> T:
        """``compute()``, kept under ``key`` for the other metrics of the cell."""
        return _once(self._derived, key, compute)

    def against(self, reference: ReferenceSet) -> list[tuple[int, int]]:
        """Pairs (sample block, reference block); a small reference set is used in turns.

        The pairing is fixed, so that all models meet the same real samples in the same block.
        """
        available = len(self.references.blocks(reference))
        return [(index, index % available) for index in range(len(self.blocks))]


def whole_blocks(samples: Tensor, size: int) -> tuple[Tensor, ...]:
    """Consecutive blocks of exactly ``size`` samples."""
    return samples[: len(samples) // size * size].split(size)


def _once(cache: dict[Hashable, object], key: Hashable, compute: Callable[[], T]) -> T:
    if key not in cache:
        cache[key] = compute()
    return cast(T, cache[key])
