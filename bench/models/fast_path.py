"""The fast path: what makes a network faster on a device and changes its numbers by rounding only.

``channels_last`` keeps the weights of convolutions in the layout that tensor cores read;
``compile`` runs the forward through torch.compile. Whether either is worth it depends on network,
batch and device, so :func:`choose` times real steps with and without it, in turns. Products in
bfloat16 (:func:`round_products`) are no such switch: they are a declared precision.

Both act on the network's ``forward`` in place. The names of its weights stay, and so do the hooks
by which the budget counts passes: they run around ``forward``, outside of what is compiled.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.autograd.forward_ad import unpack_dual


def arrange(network: nn.Module, on: Sequence[str]) -> None:
    """Lay the weights out as asked; before an optimiser looks at them."""
    if "channels_last" in on:
        network.to(memory_format=torch.channels_last)


def round_products(network: nn.Module) -> None:
    """Matrix products and convolutions in bfloat16, by autocast; weights and output in float32.

    A forward that carries a derivative (forward mode) stays in float32: autocast knows none, and
    the derivative by time would be mostly rounding.
    """
    forward, device = network.forward, next(network.parameters()).device.type

    def rounded(*inputs: Tensor | None) -> Tensor:
        if not torch.compiler.is_compiling() and _has_tangent(inputs):
            exact: Tensor = forward(*inputs)
            return exact
        with torch.autocast(device, torch.bfloat16):
            output: Tensor = forward(*inputs)
        return output.float()

    vars(network)["forward"] = rounded


def _has_tangent(inputs: Sequence[Tensor | None]) -> bool:
    return any(x is not None and unpack_dual(x).tangent is not None for x in inputs)


def compile_forward(
    network: nn.Module, backend: str = "inductor", batch: int | None = None
) -> None:
    """Compile the network's forward; torch compiles when it is first called.

    Args:
        network: its shapes should be few: each one is compiled on its own.
        backend: of torch.compile.
        batch: compile for this many samples only, and call the plain forward for any other.
    """
    # Code is compiled a limited number of times in a process, however many networks it is for.
    torch.compiler.reset()
    plain = network.forward
    fast = torch.compile(plain, dynamic=False, backend=backend)

    def forward(x: Tensor, *told: Tensor | None) -> Tensor:
        output: Tensor = (fast if batch in (None, len(x)) else plain)(x, *told)
        return output

    vars(network)["forward"] = forward
