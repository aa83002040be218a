"""Minibatch optimal transport (Pooladian et al., 2304.14772; Tong et al., 2302.00482).

Within blocks of a batch, noise is re-paired with data at a small total squared distance:

* ``exact``: by the permutation with the least total, an assignment problem;
* ``sinkhorn``: by a draw, for each datum, from the plan that minimises mean squared distance minus
  an entropy (Cuturi, 1306.0895).

The data and their labels keep their order, so that a seed's data stream is the same under every
coupling.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from bench.training.couplings._base import Pair

REGULARISATION = 0.05
ITERATIONS = 50


class MinibatchOt:
    """Optimal transport in blocks of a batch; what a batch leaves over is a smaller block.

    An assignment uses each noise exactly once. Draws from a Sinkhorn plan do not: some noise comes
    twice or more and some not at all, each once on average.

    Args:
        method: ``exact`` (solved on the CPU wherever the batch lies) or ``sinkhorn`` (on the
            batch's device).
        block: samples coupled together. More of them straighten more and cost more; at 16 the
            assignment costs less than a tenth of an update of the default experiment's networks
            (``tests/benchmarks/coupling_cost.py`` measures both).
        regularisation: of Sinkhorn only: weight of the entropy, as a fraction of a block's mean
            squared distance (0.05 if not given). Towards 0 the plan becomes the assignment.
        iterations: of Sinkhorn only: updates of both potentials (50 if not given).
    """

    def __init__(
        self,
        method: Literal["exact", "sinkhorn"] = "exact",
        block: int = 16,
        regularisation: float | None = None,
        iterations: int | None = None,
    ) -> None:
        if method not in ("exact", "sinkhorn"):
            raise ValueError(f"method must be 'exact' or 'sinkhorn', got {method!r}")
        if block < 2:
            raise ValueError(f"block must be at least 2, got {block}")
        for name, value in (("regularisation", regularisation), ("iterations", iterations)):
            if value is not None and method == "exact":
                raise ValueError(f"{name} is an option of method 'sinkhorn' only, got {value}")
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be positive, got {value}")
        self.method = method
        self.block = block
        self.regularisation = REGULARISATION if regularisation is None else regularisation
        self.iterations = ITERATIONS if iterations is None else iterations

    def __call__(self, pair: Pair, generator: torch.Generator) -> Pair:
        """Re-pair the noise of each block; only ``sinkhorn`` draws from ``generator``."""
        size = len(pair.data)
        whole = size - size % self.block
        if whole in (0, size):
            return pair._replace(noise=self._couple(pair.noise, pair.data, generator))
        head = self._couple(pair.noise[:whole], pair.data[:whole], generator)
        tail = self._couple(pair.noise[whole:], pair.data[whole:], generator)
        return pair._replace(noise=torch.cat([head, tail]))

    def _couple(self, noise: Tensor, data: Tensor, generator: torch.Generator) -> Tensor:
        """Re-pair blocks of equal size, all products at once; less than a block is one, too."""
        blocks = max(1, len(data) // self.block)
        x = noise.reshape(blocks, len(noise) // blocks, -1)
        y = data.reshape(x.shape)
        if self.method == "exact":
            return torch.empty_like(noise).index_copy_(0, assignment(x, y), noise)
        law = sinkhorn(torch.cdist(y, x).square(), self.regularisation, self.iterations)
        return noise[draw(law, generator)]


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


def sinkhorn(distance: Tensor, regularisation: float, iterations: int) -> Tensor:
    """Law of the noise given each datum, ``[k, n, n]``, whose rows sum to 1.

    With uniform weights on both sides: ``P_ij`` proportional to ``exp((g_j - C_ij)/eps)``, where
    ``C`` is ``distance [k, n, n]`` from datum i to noise j, ``eps = regularisation * mean C``, and
    ``g`` makes the columns sum to 1. Computed in the log domain, safe for any ``eps``.
    """
    logits = -distance / (regularisation * distance.mean((1, 2), keepdim=True))
    potential = torch.zeros_like(logits[:, :1])
    for _ in range(iterations):
        rows = (logits + potential).logsumexp(2, keepdim=True)
        potential = -(logits - rows).logsumexp(1, keepdim=True)
    return (logits + potential).softmax(2)


def draw(law: Tensor, generator: torch.Generator) -> Tensor:
    """One noise for each datum, by the inverse of its distribution.

    Args:
        law: of the noise given the datum, for each block, ``[k, n, n]``.

    Returns:
        Indices ``[k*n]`` into the noise of all blocks.
    """
    blocks, size, _ = law.shape
    uniform = torch.rand(blocks, size, 1, generator=generator, device=generator.device)
    # Rounding may leave the total of a law below a number close to 1.
    index = (law.cumsum(2) < uniform.to(law.device)).sum(2).clamp(max=size - 1)
    return (index + size * torch.arange(blocks, device=law.device)[:, None]).flatten()


build = MinibatchOt
