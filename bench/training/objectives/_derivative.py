"""The derivative of a network's output along a trajectory, with the output itself."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.forward_ad import dual_level, make_dual, unpack_dual

from bench.models.path_model import PathModel


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
        output, slope = unpack_dual(model.output(make_dual(x, dx), c, left))
    assert slope is not None
    return output, slope.detach()
