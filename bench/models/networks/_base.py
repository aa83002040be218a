"""What the networks for images share: attention, the embedding of time and class, first weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.autograd.forward_ad import unpack_dual
from torch.nn import functional

from bench.models.networks.residual_mlp import FourierFeatures

FEATURES = 64
"""Sines and cosines of each number of time."""


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """``softmax(q k^T / sqrt(d)) v`` of ``[b, heads, n, d]``.

    Fused kernels have no forward-mode derivative: a query that carries a tangent takes the formula.
    """
    if torch.compiler.is_compiling() or unpack_dual(query).tangent is None:
        return functional.scaled_dot_product_attention(query, key, value)
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    return scores.softmax(dim=-1) @ value


def scaled_init(network: nn.Module) -> None:
    """Glorot weights (1, fan average) and zero biases of every linear layer and convolution."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def zeroed(*layers: nn.Linear | nn.Conv2d) -> None:
    """Set weights and biases to zero, so that the layer's branch starts silent."""
    for layer in layers:
        nn.init.zeros_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


class Embedding(nn.Module):
    """Embedding ``[b, embedding]`` of time and, where there are classes, of the class.

    Args:
        conditions: numbers that say where in time a sample is.
        classes: number of classes, to which a null class is added; 0 for none.
        embedding: features of the embedding.
    """

    def __init__(self, conditions: int, classes: int, embedding: int) -> None:
        super().__init__()
        self.classes = classes
        self.time = nn.Sequential(
            FourierFeatures(FEATURES),
            nn.Linear(conditions * FEATURES, embedding),
            nn.SiLU(),
            nn.Linear(embedding, embedding),
        )
        if classes:
            self.label = nn.Embedding(classes + 1, embedding)

    def forward(self, condition: Tensor, label: Tensor | None) -> Tensor:
        """The embedding of ``condition [b, c]`` and ``label [b]``; None is the null class."""
        embedded: Tensor = self.time(condition)
        if self.classes:
            null = torch.full((len(condition),), self.classes, device=condition.device)
            embedded = embedded + self.label(null if label is None else label)
        return functional.silu(embedded)


class Passed(nn.Module):
    """``output + g(e)*x``: what passes the input on, where the last layer sees it normalised.

    A norm before the last layer forgets how long its input is, and at high noise the target is
    almost the input. EDM's preconditioning (Karras et al., 2022, 2206.00364) has such a path with
    given weights; here they are learned from the embedding of time, one for all pixels, and start
    at zero.

    Args:
        embedding: features of the embedding of time and class.
    """

    def __init__(self, embedding: int) -> None:
        super().__init__()
        self.gain = nn.Linear(embedding, 1)

    def forward(self, output: Tensor, x: Tensor, embedded: Tensor) -> Tensor:
        """The sum, for images ``[b, ...]`` and the embedding ``[b, embedding]``."""
        return torch.addcmul(output, self.gain(embedded)[:, :, None, None], x)
