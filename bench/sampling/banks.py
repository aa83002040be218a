"""Common random numbers: the noise that every formulation, solver and NFE of a seed starts from."""

from __future__ import annotations

from collections.abc import Sequence

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
