"""Frechet distance, KID, precision and recall by torch-fidelity, in the data set's feature space.

The only module that imports torch_fidelity. The extractor trained by the workflow is registered
there, so that ``torch_fidelity.calculate_metrics`` gives the same numbers on the same images; here
the features of the real samples are computed once a process and torch-fidelity's own functions are
applied to features. Values are named after the extractor (``fd_digits``): only the Inception
weights of 2015 would make a Frechet distance an FID.

Frechet distance: Heusel et al., 1706.08500. KID: Binkowski et al., 1801.01401 (cubic polynomial
kernel, unbiased, squared). Precision and recall: Kynkaanniemi et al., 1904.06991.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.metrics import Measurement, Needs, over_blocks

if TYPE_CHECKING:
    from torch import Tensor

    from bench.evaluation import Context, References, ReferenceSet

NEEDS = Needs(kinds=("image",), extractor=True)
DIRECTIONS = {"fd_": "lower", "kid_": "lower", "precision_": "higher", "recall_": "higher"}
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
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric
    from torch_fidelity.metric_prc import prc_features_to_metric

    references, settings = context.references, context.settings
    name = references.extractor
    assert name is not None, f"{references.dataset.name}: no extractor"
    extract = references.derived("extractor", lambda: _extractor(references, name))
    features = [extract(references.dataset.to_uint8(block))[0] for block in context.blocks]
    statistics = [fid_features_to_statistics(block) for block in features]

    def real_features(reference: ReferenceSet, index: int) -> Tensor:
        block = references.blocks(reference)[index]
        images = references.dataset.to_uint8(block)
        return references.derived((reference, index, "features"), lambda: extract(images)[0])

    def real_statistics(reference: ReferenceSet, index: int) -> dict[str, Any]:
        return references.derived(
            (reference, index, "statistics"),
            lambda: fid_features_to_statistics(real_features(reference, index)),
        )

    def measured(stem: str, reference: ReferenceSet, values: list[float]) -> Measurement:
        columns = {"reference_set": reference, "n_reference": settings.block, "extractor": name}
        return over_blocks(f"{stem}_{name}", values, **columns)

    def frechet(reference: ReferenceSet) -> Measurement:
        distances = [
            fid_statistics_to_metric(statistics[i], real_statistics(reference, j), verbose=False)
            for i, j in context.against(reference)
        ]
        return measured("fd", reference, [d["frechet_inception_distance"] for d in distances])

    kernel, manifold = [], []
    for i, j in context.against("held_out"):
        real = real_features("held_out", j)
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
    return [
        frechet("held_out"),
        frechet("train"),
        measured("kid", "held_out", kernel),
        measured("precision", "held_out", [m["precision"] for m in manifold]),
        measured("recall", "held_out", [m["recall"] for m in manifold]),
    ]


def _extractor(references: References, name: str) -> Any:
    from torch_fidelity.utils import create_feature_extractor

    assert references.extractor_weights is not None, f"{name}: the extractor was not trained"
    return create_feature_extractor(
        register(name),
        [LAYER],
        cuda=False,
        feature_extractor_weights_path=str(references.extractor_weights),
        verbose=False,
    )
