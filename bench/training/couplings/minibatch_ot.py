"""Minibatch optimal transport (Pooladian et al., 2023, 2304.14772; Tong et al., 2023, 2302.00482).

Within blocks of a batch, noise is re-paired with data by the permutation with the least total
squared distance, an assignment problem. The data and their labels keep their order, so that a
seed's data stream is the same under every coupling.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from bench.options import requires
from bench.training.couplings._base import Pair


class MinibatchOt:
    """Optimal transport in blocks of a batch; what a batch leaves over is a smaller block.

    The assignment is solved on the CPU wherever the batch lies.

    Args:
        block: samples coupled together. More of them straighten more and cost more; at 16 the
            assignment costs less than a tenth of an update of the default experiment's networks
            (``tests/benchmarks/coupling_cost.py`` measures both).
    """

    @requires("block >= 2")
    def __init__(self, block: int = 16) -> None:
        self.block = block

    def __call__(self, pair: Pair, generator: torch.Generator) -> Pair:
        """Re-pair the noise of each block; nothing is drawn from ``generator``."""
        size = len(pair.data)
        whole = size - size % self.block
        if whole in (0, size):
            return pair._replace(noise=self._couple(pair.noise, pair.data))
        head = self._couple(pair.noise[:whole], pair.data[:whole])
        tail = self._couple(pair.noise[whole:], pair.data[whole:])
        return pair._replace(noise=torch.cat([head, tail]))

    def _couple(self, noise: Tensor, data: Tensor) -> Tensor:
        """Re-pair blocks of equal size, all products at once; less than a block is one, too."""
        blocks = max(1, len(data) // self.block)
        x = noise.reshape(blocks, len(noise) // blocks, -1)
        y = data.reshape(x.shape)
        return torch.empty_like(noise).index_copy_(0, assignment(x, y), noise)


def assignment(noise: Tensor, data: Tensor) -> Tensor:
    """The datum of each noise in the cheapest permutation of its block.

    Args:
        noise, data: blocks, ``[k, n, d]`` each.

    Returns:
        Indices ``[k*n]`` into the data of all blocks.
    """
    # |noise - data|^2 differs from -2<noise, data> by terms that no permutation changes. The solver
    # adds row after row; it is faster with noise as rows, which is more spread out than data.
    blocks, size, _ = noise.shape
    gains = torch.bmm(noise, data.transpose(1, 2)).cpu().numpy()
    columns = np.stack([linear_sum_assignment(gain, maximize=True)[1] for gain in gains])
    return torch.from_numpy((columns + size * np.arange(blocks)[:, None]).ravel()).to(noise.device)


build = MinibatchOt
