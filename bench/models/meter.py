"""Counting forwards at the network: hooks, and the region outside of which a forward raises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from torch import Tensor, nn
from torch.autograd.forward_ad import unpack_dual

from bench.errors import BudgetError


@dataclass
class Passes:
    """Network evaluations, in samples: a batch of 256 counts 256."""

    forwards: int = 0
    backwards: int = 0


_active: ContextVar[Passes | None] = ContextVar("active_passes", default=None)


@contextmanager
def counted() -> Iterator[Passes]:
    """Count the evaluations of every watched network inside the block."""
    passes = Passes()
    token = _active.set(passes)
    try:
        yield passes
    finally:
        _active.reset(token)


def watch(network: nn.Module) -> None:
    """Count every forward and backward of ``network``; raise on one that nobody counts.

    Watching a network a second time changes nothing.
    """
    if _on_forward not in network._forward_hooks.values():
        network.register_forward_hook(_on_forward)


def _on_forward(network: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    passes = _active.get()
    if passes is None:
        raise BudgetError(f"{type(network).__name__} was evaluated outside a metered region")
    batch = len(output)
    passes.forwards += batch
    if unpack_dual(output).tangent is not None:
        passes.forwards += batch  # a Jacobian-vector product carries a second state along
    if output.requires_grad:

        def on_backward(gradient: Tensor) -> None:
            passes.backwards += batch

        output.register_hook(on_backward)
