"""Frechet distance, KID, precision and recall by torch-fidelity, in the data set's feature space.

Features are those of :mod:`bench.metrics.features`; torch-fidelity's own functions make numbers of
them, in float64 for the Frechet distance; ``torch_fidelity.calculate_metrics`` gives the same
numbers on the same images, which a test holds. Values are named after the extractor
(``fd_digits``): only with the Inception weights of 2015 is a Frechet distance an FID, and called
``fid``.

Frechet distance between features of means ``m, n`` and covariances ``S, T`` (Heusel et al.,
2017, 1706.08500): ``|m - n|^2 + tr(S + T - 2 (S T)^(1/2))``. It is refused where a set is no larger
than the features' dimension: its covariance is singular there, and the number means nothing. KID:
Binkowski et al., 2018, 1801.01401 (cubic polynomial kernel, unbiased, squared). Precision and
recall: Kynkaanniemi et al., 2019, 1904.06991.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.metrics.declared import Needs, measured_in
from bench.metrics.measurement import Measurement, over_blocks, refused

if TYPE_CHECKING:
    from torch import Tensor

    from bench.metrics.context import Context, ReferenceSet
    from bench.metrics.extractors import Extractor
    from bench.metrics.gaussian_fits import Moments

NEEDS = Needs(kinds=("image",), extractor=True)
DIRECTIONS = {
    "fd_{extractor}": "lower",
    "kid_{extractor}": "lower",
    "precision_{extractor}": "higher",
    "recall_{extractor}": "higher",
}
SCALES = {
    "fd_{extractor}": "log",
    "kid_{extractor}": "linear",
    "precision_{extractor}": "logit",
    "recall_{extractor}": "logit",
}
TITLES = {
    "fd_{extractor}": "Fréchet distance ({features})",
    "kid_{extractor}": "KID ({features})",
    "precision_{extractor}": "precision",
    "recall_{extractor}": "recall",
}


def compute(context: Context) -> list[Measurement]:
    """Frechet distance to held-out and to training data; the rest against held-out data."""
    from bench.metrics import features as _features
    from bench.metrics import torch_fidelity

    references, settings = context.references, context.settings
    name, network = _features.extractor_of(references), _features.declared(references)
    features = _features.of_samples(context, name, network)
    kernel, manifold = [], []
    for i, j in context.against("held_out"):
        real, _ = _features.real_block(references, name, network, "held_out", j)
        subsets, size = settings.kid_subsets, settings.kid_subset_size
        kernel.append(torch_fidelity.kernel_distance(features[i], real, subsets, size, seed=i))
        manifold.append(torch_fidelity.precision_recall(features[i], real, settings.neighbours))

    def measured(stem: str, values: list[float]) -> Measurement:
        columns = {"reference_set": "held_out", "n_reference": settings.block, "extractor": name}
        return over_blocks(measured_in(stem, name), values, **columns)

    # Where training is unlimited, no images are those that were trained on.
    sets: tuple[ReferenceSet, ...] = (
        ("held_out",) if references.unlimited else ("held_out", "train")
    )
    return [
        *(frechet(context, name, network, reference) for reference in sets),
        measured("kid_{extractor}", kernel),
        measured("precision_{extractor}", [precision for precision, _ in manifold]),
        measured("recall_{extractor}", [recall for _, recall in manifold]),
    ]


def frechet(
    context: Context, name: str, network: Extractor, reference: ReferenceSet
) -> Measurement:
    """The Frechet distance in the feature space of any network, mean over blocks."""
    from bench.metrics import features as _features
    from bench.metrics.gaussian_fits import moments

    references = context.references
    samples = [moments(x) for x in _features.of_samples(context, name, network)]
    pairs = [
        (samples[i], _features.real_block(references, name, network, reference, j)[1])
        for i, j in context.against(reference)
    ]
    metric = measured_in("fd_{extractor}", name)
    columns = {
        "reference_set": reference,
        "n_reference": context.settings.block,
        "extractor": name,
    }
    singular = pairs[0][1].singular
    if singular is not None:
        return refused(metric, singular, **columns)
    return over_blocks(metric, [distance(a, b) for a, b in pairs], **columns)


def distance(a: Moments[Tensor], b: Moments[Tensor]) -> float:
    """Squared Frechet distance between two sets of features, by torch-fidelity."""
    from bench.metrics import torch_fidelity

    first, second = ((m.mean.numpy(), m.covariance.numpy()) for m in (a, b))
    return torch_fidelity.frechet(first, second)
