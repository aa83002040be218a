"""Minibatch optimal transport (Pooladian et al., 2304.14772; Tong et al., 2302.00482).

Within blocks of a batch, noise is permuted to the exact optimal assignment under squared distance.
The data keep their order, so that a seed's data stream is the same under every coupling.
"""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment

from bench.couplings._base import Pair


class MinibatchOt:
    """Exact assignment in blocks.

    Args:
        block: samples assigned jointly; cost grows as its cube, straightening with its size.
    """

    stored = False

    def __init__(self, block: int = 64) -> None:
        if block < 2:
            raise ValueError(f"block must be at least 2, got {block}")
        self.block = block

    def __call__(self, pair: Pair, generator: torch.Generator) -> Pair:
        """Permute the noise of each block to the least total squared distance."""
        noise = [
            _assign(noise, data)
            for noise, data in zip(
                pair.noise.split(self.block), pair.data.split(self.block), strict=True
            )
        ]
        return Pair(torch.cat(noise), pair.data)


def _assign(noise: torch.Tensor, data: torch.Tensor) -> torch.Tensor:
    # |noise - data|^2 differs from -2<noise, data> by terms that no permutation changes.
    gain = data.flatten(1) @ noise.flatten(1).T
    _, columns = linear_sum_assignment(gain.cpu().numpy(), maximize=True)
    return noise[torch.from_numpy(columns).to(noise.device)]


build = MinibatchOt
