"""Modes of a mixture whose law is known: how many the samples reach, and in what shares.

A sample belongs to the mode that most likely made it. It hits that mode if it lies within the
ellipsoid that holds 99% of the mode's points. ``mode_coverage`` is the share of modes that got hits
of at least half their weight: noise spread over all modes covers none. ``mode_tv`` is the total
variation ``1/2 sum_k |v_k - w_k|`` between the weights ``w`` of the law and the mean
responsibilities ``v`` of the samples, which have mean ``w`` under the law. Modes that are missed,
and modes that are visited too often, raise it; how well a mode is drawn does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.metrics.declared import Needs
from bench.metrics.measurement import Measurement, over_blocks

if TYPE_CHECKING:
    from torch import Tensor

    from bench.data.mixture import GaussianMixture
    from bench.metrics.context import Context

NEEDS = Needs(kinds=("vector",), exact=True)
DIRECTIONS = {"mode_coverage": "higher", "mode_tv": "lower"}
SCALES = {"mode_coverage": "logit", "mode_tv": "logit"}
TITLES = {
    "mode_coverage": "share of modes covered",
    "mode_tv": "total variation of mode weights",
}
INSIDE: Final = 0.99
"""Probability of the ellipsoid of a mode."""

AT_ONCE: Final = 2**24
"""Numbers of the factors that are held at a time, one matrix a sample."""

LEAST: Final = 0.5
"""Hits that cover a mode, as a share of its weight."""


def compute(context: Context) -> list[Measurement]:
    """Mean over blocks, each against the law itself."""
    from torch.linalg import cholesky

    law = context.references.dataset.mixture
    assert law is not None, f"{context.references.dataset.name} has no exact law"
    roots = context.references.derived("mode roots", lambda: cholesky(law.covariances.dense()))
    block_scores = [coverage_and_variation(block, law, roots) for block in context.blocks]
    return [
        over_blocks(name, values, reference_set="exact")
        for name, values in zip(DIRECTIONS, zip(*block_scores, strict=True), strict=True)
    ]


def coverage_and_variation(
    samples: Tensor, law: GaussianMixture, roots: Tensor
) -> tuple[float, float]:
    """Of ``samples [n, d]``; ``roots [k, d, d]`` are the covariances' Cholesky factors."""
    import torch
    from scipy.stats import chi2

    x = samples.flatten(1).double()
    shares = law.responsibilities(x)
    mode = shares.argmax(dim=1)
    gap = (x - law.means[mode])[:, :, None]
    batch = max(1, AT_ONCE // x.shape[1] ** 2)
    squared = torch.cat(
        [
            torch.linalg.solve_triangular(roots[k], g, upper=False).square().sum(dim=(1, 2))
            for k, g in zip(mode.split(batch), gap.split(batch), strict=True)
        ]
    )
    inside = squared <= chi2.ppf(INSIDE, x.shape[1])
    hits = torch.bincount(mode[inside], minlength=len(law.weights)) / len(x)
    covered = (hits >= LEAST * law.weights).double().mean().item()
    return covered, (shares.mean(dim=0) - law.weights).abs().sum().item() / 2
