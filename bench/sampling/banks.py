"""Common random numbers: the noise that every formulation, solver and NFE of a seed starts from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from bench.streams import normal_per_sample, stream


def starting_noise(seed: int, bank: str, count: int, shape: Sequence[int]) -> Tensor:
    """Standard normal ``z [count, *shape]`` of a noise bank; sample i never depends on count."""
    return normal_per_sample(range(count), shape, seed, "bank", bank)


def starting_labels(seed: int, bank: str, count: int, label: Tensor) -> Tensor:
    """Classes ``[count]`` of a noise bank, drawn from ``label [n]``, those of the training data."""
    u = torch.rand(count, generator=stream(seed, "bank", bank, "label"))
    return label.cpu()[(u * len(label)).long()]


def solver_noise(
    seed: int, bank: str, samples: range, shape: Sequence[int], interval: int
) -> Tensor:
    """Noise that a stochastic solver adds in an interval, keyed by sample and interval."""
    return normal_per_sample(samples, shape, seed, "solver", bank, interval)


KEPT_BYTES = 2**28
"""Noise of stochastic solvers that is kept: it is one stream a sample, and slow to draw."""


@dataclass
class NoiseBanks:
    """The noise banks of a model, drawn when they are asked for.

    Args:
        seed: key of all of them.
        sizes: samples of each bank.
        shape: of a sample.
        device, dtype: where the noise is wanted, and in which precision.
    """

    seed: int
    sizes: Mapping[str, int]
    shape: Sequence[int]
    device: torch.device
    dtype: torch.dtype
    _noise: dict[str, Tensor] = field(default_factory=dict)
    _added: dict[tuple[str, int], Tensor] = field(default_factory=dict)

    def noise(self, bank: str) -> Tensor:
        """Starting noise ``[n, *shape]``."""
        if bank not in self._noise:
            noise = starting_noise(self.seed, bank, self.sizes[bank], self.shape)
            self._noise[bank] = noise.to(self.device, self.dtype)
        return self._noise[bank]

    def labels(self, bank: str, train_labels: Tensor) -> Tensor:
        """Classes ``[n]`` of the samples, drawn from those of the training data."""
        return starting_labels(self.seed, bank, self.sizes[bank], train_labels).to(self.device)

    def fresh(self, bank: str) -> Callable[[int, slice], Tensor]:
        """Noise that stochastic solvers add to some samples of a bank, by interval."""
        start = self.noise(bank)
        shape = tuple(start.shape[1:])

        def fresh(interval: int, part: slice) -> Tensor:
            noise = self._added.get((bank, interval))
            if noise is not None:
                return noise[part]
            samples = range(*part.indices(len(start)))
            if (1 + len(self._added)) * start.nbytes > KEPT_BYTES:
                return solver_noise(self.seed, bank, samples, shape, interval).to(start)
            every = range(len(start))
            self._added[bank, interval] = solver_noise(self.seed, bank, every, shape, interval).to(
                start
            )
            return self._added[bank, interval][part]

        return fresh
