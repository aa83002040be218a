"""Classifier two-sample test: how often a classifier tells samples from held-out data.

Accuracy of a classifier on samples and data that it was not trained on (Lopez-Paz and Oquab, 2016,
1610.06545): 1/2 where nothing can be told apart, 1 where everything can. The
classifier is a logistic regression on what the exact law says of a point: the point x, its
responsibilities, its residual from its mode ``e = x - sum_k g_k(x) mu_k``, squares of that, and the
least deviation from a mode with its square. Each half of a block is judged by a classifier trained
on the other half; halves are drawn by a keyed stream.

The weights minimise the logistic loss and half their own square, by steps of the fixed bound
``X^T X / 4 + 1`` of its curvature, none of which can raise it (Boehning and Lindsay, 1988,
https://doi.org/10.1007/BF00049423).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from bench.metrics.declared import Needs
from bench.metrics.measurement import Measurement, over_blocks

if TYPE_CHECKING:
    from torch import Tensor

    from bench.data.mixture import GaussianMixture
    from bench.metrics.context import Context
    from bench.metrics.law import Located

NEEDS = Needs(exact=True)
DIRECTIONS = {"c2st": "lower"}
SCALES = {"c2st": "linear"}
TITLES = {"c2st": "accuracy of a classifier two-sample test"}
STEPS: Final = 30
FARTHEST: Final = 5.0
"""Standard scores beyond which a feature is cut: one sample far away hides no others."""


def compute(context: Context) -> list[Measurement]:
    """Mean over blocks, each against a block of held-out samples."""
    from bench.metrics.law import law_of, places_in_blocks

    references, law = context.references, law_of(context)
    real, there = references.blocks("held_out"), places_in_blocks(context)

    def seen(block: Tensor, where: Located | None = None) -> Tensor:
        return features(law, block.flatten(1).double(), where)

    values = []
    for i, j in context.against("held_out"):
        real_features = references.derived(("c2st", j), partial(seen, real[j]))
        values.append(accuracy(seen(context.blocks[i], there[i]), real_features))
    block = context.settings.block
    return [over_blocks("c2st", values, reference_set="held_out", n_reference=block)]


def features(law: GaussianMixture, x: Tensor, places: Located | None = None) -> Tensor:
    """What the classifier sees of ``x [n, d]``, ``[n, f]``; where they lie may be known."""
    import torch

    from bench.metrics.law import located

    _, shares, squared = located(law, x) if places is None else places
    residual, least = x - shares @ law.means, squared.amin(dim=1, keepdim=True)
    return torch.cat([x, residual, residual.square(), shares, least, least.sqrt()], dim=1)


def accuracy(samples: Tensor, real: Tensor) -> float:
    """Share of ``samples [n, f]`` and ``real [n, f]`` told rightly by the other halves.

    The order of either does not matter: samples are sorted before halves are drawn.
    """
    import torch

    from bench.streams import stream

    mean, deviation = real.mean(dim=0), real.std(dim=0).clamp(min=1e-12)
    generator = stream("c2st", len(samples))
    halves: list[tuple[list[Tensor], list[Tensor]]] = [([], []), ([], [])]
    for points, sign in ((samples, 1.0), (real, -1.0)):
        points = points[points[:, 0].argsort(stable=True)]
        scores = ((points - mean) / deviation).clamp(-FARTHEST, FARTHEST)
        scores = torch.cat([scores, torch.ones_like(scores[:, :1])], dim=1)
        order = torch.randperm(len(points), generator=generator)
        for half, part in zip(halves, order.tensor_split(2), strict=True):
            half[0].append(scores[part])
            half[1].append(torch.full((len(part),), sign, dtype=scores.dtype))
    first_half, second_half = ((torch.cat(x), torch.cat(y)) for x, y in halves)
    right = [
        (tested[0] @ weights(*trained)) * tested[1] > 0
        for trained, tested in ((first_half, second_half), (second_half, first_half))
    ]
    return torch.cat(right).double().mean().item()


def weights(x: Tensor, y: Tensor) -> Tensor:
    """Weights ``[f]`` of the classifier of ``x [n, f]`` whose signs are ``y [n]``."""
    import torch

    bound = x.T @ x / 4
    bound.diagonal().add_(1.0)
    root, estimate = torch.linalg.cholesky(bound), x.new_zeros(x.shape[1])
    for _ in range(STEPS):
        slope = estimate - x.T @ (y * (-y * (x @ estimate)).sigmoid())
        estimate = estimate - torch.cholesky_solve(slope[:, None], root).squeeze(1)
    return estimate
