"""The derivative of a network's output along a trajectory, with the output itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor
from torch.autograd.forward_ad import dual_level, make_dual, unpack_dual
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from bench.models.path_model import PathModel

LAYERS: Final = frozenset(
    {functional.linear, functional.conv1d, functional.conv2d, functional.conv3d,
     functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d}
)  # fmt: skip
"""What is linear in its first argument, but for a bias."""


class ConstantWeights(TorchFunctionMode):
    """Forward mode through layers whose weights do not move: two products of each, not three.

    The output of a layer is ``y = W x + b``, and its derivative along a trajectory is
    ``dy = W dx + dW x``. Torch's rule takes all three products wherever one of x and W has a
    tangent, the last one with a ``dW`` of zeros; the algorithm needs the first two. Products of two
    inputs, such as those of attention, need three and keep torch's rule.

    No gradient flows into ``dy``. For use inside a dual level.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """The layer's output with its tangent, or ``func`` as it is."""
        named = dict(kwargs or {})
        if func not in LAYERS or len(args) < 2 or not _moves(args[0]):
            return func(*args, **named)
        dual, weight, *rest = args
        bias = rest.pop(0) if rest else named.pop("bias", None)
        if _moves(weight) or _moves(bias):
            return func(dual, weight, bias, *rest, **named)
        x, dx = unpack_dual(dual)
        output = func(x, weight, bias, *rest, **named)
        with torch.no_grad():
            slope = func(dx, weight, None, *rest, **named)
        return make_dual(output, slope)


def _moves(x: Tensor | None) -> bool:
    return x is not None and unpack_dual(x).tangent is not None


def along(
    model: PathModel, x: Tensor, t: Tensor, dx: Tensor, ahead: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Output ``[b, ...]`` at ``(x, t)`` and its derivative by t while x moves with ``dx``.

    One forward with a Jacobian-vector product (forward mode), which the budget counts as two.
    Only the output carries a gradient: the derivative is used as a target.

    Args:
        model: asked for its raw output.
        x, t: state ``[b, ...]`` and time ``[b]``.
        dx: derivative of the state by t, ``[b, ...]``.
        ahead: length of the interval ahead, ``[b]``; its end stays where it is, so that it shrinks
            as t grows.
    """
    ones = torch.ones_like(t)
    with dual_level():
        c = model.path.coefficients(make_dual(t, ones))
        left = None if ahead is None else make_dual(ahead, -ones)
        with ConstantWeights():
            output, slope = unpack_dual(model.output(make_dual(x, dx), c, left))
    assert slope is not None
    return output, slope.detach()
