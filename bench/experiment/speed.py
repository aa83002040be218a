"""Measured speeds of the reference machine, from which an experiment's cost is estimated."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Speed:
    """Measured on one core of the reference machine (AVX2, 147 GFLOP/s in float32 products).

    Read off ledgers of ``configs/smoke.yaml`` and ``configs/default.yaml``: ``flops``
    and ``update`` from ``device_seconds`` against ``flops`` of ``flow_matching`` at two widths,
    ``image_flops`` from those of ``configs/fashion_small.yaml``, the rest from the ``seconds`` that
    outcomes record.

    Attributes:
        flops: floating-point operations a second of ``residual_mlp``, in batches of hundreds.
        image_flops: the same of networks for images, in batches of 64.
        update: seconds of an update beyond its products: optimiser, streams, small kernels.
        evaluation: seconds of a batched evaluation beyond its products.
        start, start_fidelity, start_report: seconds until a job computes: with torch, with
            torch_fidelity too, with pandas and matplotlib instead.
        image_block, vector_block: seconds to score a block of 597 samples by features, and by
            exact W2; the first grows about with the square of the block, the second with its cube.
        primary, primary_law: share of the seconds of all metrics that the primary one takes, and
            where that reads samples against an exact law.
        pair, pair_number: seconds of a pair of a block's samples in all distances that look at
            pairs, and of each number of a sample.
        exact_number: seconds of an evaluation of an exact field, for each number of a sample.
        law, law_number: seconds of drawing a sample of an exact law where training is unlimited,
            and of each of its numbers, in batches of hundreds.
        rendering, rendered_number: the same of images that are rendered, such as letters.
        extractor_epoch: seconds of an epoch of the extractor.
        convergence: seconds of measuring all orders of convergence on one path.
        report: seconds of the workflow itself, of gathering records and of drawing the report.
    """

    flops: float = 74e9
    image_flops: float = 58e9
    update: float = 2.1e-3
    evaluation: float = 1.0e-3
    start: float = 2.7
    start_fidelity: float = 2.8
    start_report: float = 3.0
    image_block: float = 0.064
    vector_block: float = 0.044
    pair: float = 1.8e-8
    pair_number: float = 1.9e-10
    primary: float = 0.3
    primary_law: float = 0.15
    exact_number: float = 2.0e-7
    law: float = 0.9e-6
    law_number: float = 2.4e-8
    rendering: float = 4.1e-5
    rendered_number: float = 6.8e-8
    extractor_epoch: float = 0.06
    convergence: float = 9.0
    report: float = 15.0


SPEED = Speed()


SCORED_BLOCK = 597
"""Block for which the seconds of :class:`Speed` were measured."""


ADAPTIVE_EVALUATIONS = ((1e-2, 25), (1e-3, 40), (1e-4, 61), (1e-6, 200))
"""About what dopri5 spends on a trained field, by tolerance."""


ADAPTIVE_EXACT = 900
"""About what dopri5 spends on an exact field, in float64 at a tolerance of 1e-8."""


VECTOR_JACOBIAN = 0.5
"""A backward pass to the input alone, in forwards; an evaluation of a likelihood takes several."""


FIELD = (17 * 2, 2048)
"""Evaluations and samples of the field error of a model."""


GEOMETRY = (200, 256)
"""Evaluations and samples of the three straightness figures of a model."""
