"""Frechet distance, KID, precision and recall by torch-fidelity, in the data set's feature space.

Features are those of :mod:`bench.metrics._features`; torch-fidelity's own functions make numbers of
them, in float64 for the Frechet distance. The extractor can be registered there too, so that
``torch_fidelity.calculate_metrics`` gives the same numbers on the same images. Values are named
after the extractor (``fd_digits``): only with the Inception weights of 2015 is a Frechet distance
an FID, and called ``fid``.

Frechet distance between features of means ``m, n`` and covariances ``S, T`` (Heusel et al.,
1706.08500): ``|m - n|^2 + tr(S + T - 2 (S T)^(1/2))``. It is refused where a set is no larger than
the features' dimension: its covariance is singular there, and the number means nothing.
KID: Binkowski et al., 1801.01401 (cubic polynomial kernel, unbiased, squared). Precision and
recall: Kynkaanniemi et al., 1904.06991.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.metrics import Measurement, Needs, measured_in, over_blocks, refused

if TYPE_CHECKING:
    from torch import Tensor

    from bench.evaluation import Context, ReferenceSet
    from bench.extractors import Extractor
    from bench.metrics._features import Moments

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
    "precision_{extractor}": "linear",
    "recall_{extractor}": "linear",
}
LAYER = "features"


def register(extractor: str) -> str:
    """Register ``bench/extractors/<extractor>.py`` with torch-fidelity and return its name there.

    The weights are the keyword ``feature_extractor_weights_path``. A second time does nothing.
    """
    from torch_fidelity import FeatureExtractorBase, register_feature_extractor
    from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

    from bench.extractors import load

    class Registered(FeatureExtractorBase):
        def __init__(
            self, name: str, features_list: list[str], feature_extractor_weights_path: str, **_: Any
        ) -> None:
            super().__init__(name, features_list)
            self.network = load(extractor, Path(feature_extractor_weights_path))

        @staticmethod
        def get_provided_features_list() -> tuple[str, ...]:
            return (LAYER,)

        @staticmethod
        def get_default_feature_layer_for_metric(metric: str) -> str:
            return LAYER

        @staticmethod
        def can_be_compiled() -> bool:
            return False

        def forward(self, images: Tensor) -> tuple[Tensor, ...]:
            return (self.network.features(images),)

    name = f"genpathbench-{extractor}"
    if name not in FEATURE_EXTRACTORS_REGISTRY:
        register_feature_extractor(name, Registered)
    return name


def compute(context: Context) -> list[Measurement]:
    """Frechet distance to held-out and to training data; the rest against held-out data."""
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric
    from torch_fidelity.metric_prc import prc_features_to_metric

    from bench.metrics import _features

    references, settings = context.references, context.settings
    name, network = _features.extractor_of(references), _features.declared(references)
    features = _features.of_samples(context, name, network)
    kernel, manifold = [], []
    for i, j in context.against("held_out"):
        real, _ = _features.real_block(references, name, network, "held_out", j)
        kernel.append(
            kid_features_to_metric(
                features[i],
                real,
                kid_subsets=settings.kid_subsets,
                kid_subset_size=settings.kid_subset_size,
                rng_seed=i,
                verbose=False,
            )[KEY_METRIC_KID_MEAN]
        )
        manifold.append(
            prc_features_to_metric(
                features[i], real, prc_neighborhood=settings.neighbours, verbose=False
            )
        )

    def measured(stem: str, values: list[float]) -> Measurement:
        columns = {"reference_set": "held_out", "n_reference": settings.block, "extractor": name}
        return over_blocks(measured_in(stem, name), values, **columns)

    return [
        frechet(context, name, network, "held_out"),
        frechet(context, name, network, "train"),
        measured("kid_{extractor}", kernel),
        measured("precision_{extractor}", [m["precision"] for m in manifold]),
        measured("recall_{extractor}", [m["recall"] for m in manifold]),
    ]


def frechet(
    context: Context, name: str, network: Extractor, reference: ReferenceSet
) -> Measurement:
    """The Frechet distance in the feature space of any network, mean over blocks."""
    from bench.metrics import _features

    references = context.references
    samples = [_features.moments(x) for x in _features.of_samples(context, name, network)]
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


def distance(a: Moments, b: Moments) -> float:
    """Squared Frechet distance between two sets of features, by torch-fidelity."""
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric

    ours, theirs = ({"mu": m.mean.numpy(), "sigma": m.covariance.numpy()} for m in (a, b))
    found: float = fid_statistics_to_metric(ours, theirs, verbose=False)[KEY_METRIC_FID]
    return found
