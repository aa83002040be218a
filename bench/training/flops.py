"""Floating-point operations by torch's counter, those of the algorithm whatever kernel runs it.

Attention is two products forward and four backward. Fused kernels keep no scores and compute them
again in the backward pass, which torch counts as a fifth product; the plain kernel, which torch
takes where the layout of a feature map suits no fused one, does not. A budget must not depend on a
layout: the repeated product is a matter of memory and is not charged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

aten = torch.ops.aten

FUSED_BACKWARD = (
    aten._scaled_dot_product_efficient_attention_backward,
    aten._scaled_dot_product_flash_attention_backward,
    aten._scaled_dot_product_flash_attention_for_cpu_backward,
    aten._scaled_dot_product_cudnn_attention_backward,
)


def counter() -> FlopCounterMode:
    """A context that counts the operations of what runs inside it."""
    backward = dict.fromkeys(FUSED_BACKWARD, _attention_backward)
    return FlopCounterMode(display=False, custom_mapping=backward)


def _attention_backward(
    gradient: Sequence[int],
    query: Sequence[int],
    key: Sequence[int],
    value: Sequence[int],
    *further: Any,
    **named: Any,
) -> int:
    """Two products of the same sizes for each product of the forward; all are given as shapes."""
    return 2 * int(sdpa_flop_count(query, key, value))
