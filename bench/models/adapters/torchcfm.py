"""A network as torchcfm trains and integrates it: ``net(t, x)``, time from noise to data.

torchcfm's vector fields take the time as one number for the whole batch, first. All of its
matchers regress the velocity of their path; the straight line from noise to data is the default,
``TargetConditionalFlowMatcher(sigma)`` is ``linear`` with ``sigma_min=sigma``, and
``VariancePreservingConditionalFlowMatcher`` is ``trigonometric``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from bench.formulations.grammar import path as declare
from bench.models.adapters.foreign import Foreign


def from_torchcfm(
    net: Callable[[Tensor, Tensor], Tensor], path: str = "linear", **options: Any
) -> Foreign:
    """The model of a network of torchcfm's convention.

    Args:
        net: called as ``net(t, x)`` with ``t []`` and ``x [b, ...]``; an MLP that takes ``x`` and
            ``t`` in one tensor goes through ``torchcfm.utils.torch_wrapper`` first.
        path: the path of its matcher, a name of ``bench.models.paths``.
        options: options of that path.
    """

    def function(x: Tensor, t: Tensor) -> Tensor:
        if not bool((t == t[0]).all()):
            raise ValueError("a network of torchcfm's convention takes one time for a batch")
        return net(t[0], x)

    return Foreign(function, declare(path, **options), "velocity")
