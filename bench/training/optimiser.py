"""AdamW, the moving average of weights, and the schedule of the learning rate."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw


class AdamW:
    """AdamW (Loshchilov & Hutter, 2017, 1711.05101) by torch's fused kernel, without decay.

    ``torch.optim.AdamW`` imports the compiler in its first step: a second of every short job.

    Args:
        parameters: updated in place from their gradients.
    """

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self.parameters = parameters
        self.first = [torch.zeros_like(p) for p in parameters]
        self.second = [torch.zeros_like(p) for p in parameters]
        self.steps = [torch.zeros((), device=p.device) for p in parameters]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One update at the learning rate ``rate``; clears the gradients."""
        adamw(
            list(self.parameters),
            [p.grad for p in self.parameters if p.grad is not None],
            self.first,
            self.second,
            [],
            self.steps,
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )
        self.clear()

    def clear(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def state(self) -> dict[str, Tensor]:
        """Named tensors of the state; writing into them restores it."""
        lists = {"first": self.first, "second": self.second, "step": self.steps}
        return {f"{name}.{i}": t for name, tensors in lists.items() for i, t in enumerate(tensors)}


class MovingAverage:
    """Exponential moving average of a network's parameters."""

    def __init__(self, network: nn.Module) -> None:
        self.source = [p.detach() for p in network.parameters()]
        self.average = [p.clone() for p in self.source]

    def update(self, decay: float) -> None:
        """``average = decay*average + (1 - decay)*parameters``."""
        torch._foreach_lerp_(self.average, self.source, 1 - decay)

    def copy_to(self, network: nn.Module) -> None:
        """Write the average into ``network``."""
        with torch.no_grad():
            for parameter, average in zip(network.parameters(), self.average, strict=True):
                parameter.copy_(average)


def _schedule(update: int, total: int, warmup: float) -> float:
    """Linear warm-up over the first fraction ``warmup``, then a half cosine to zero."""
    rise = max(1, round(warmup * total))
    if update < rise:
        return (update + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (update - rise) / max(1, total - rise)))
