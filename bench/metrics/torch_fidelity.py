"""torch-fidelity: the only file that imports it.

Its functions on features and on moments of features, its Inception network, and its registry of
feature extractors. Everything is imported when it is called: the package takes seconds.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

LAYER = "features"


def frechet(
    one: tuple[NDArray[Any], NDArray[Any]], other: tuple[NDArray[Any], NDArray[Any]]
) -> float:
    """Squared Frechet distance between two Gaussians, each a mean ``[d]`` and ``[d, d]``."""
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric

    ours, theirs = ({"mu": mean, "sigma": covariance} for mean, covariance in (one, other))
    found: float = fid_statistics_to_metric(ours, theirs, verbose=False)[KEY_METRIC_FID]
    return found


def kernel_distance(features: Tensor, real: Tensor, subsets: int, size: int, seed: int) -> float:
    """KID of features ``[n, d]``: unbiased, squared, mean over random subsets."""
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    found: float = kid_features_to_metric(
        features, real, kid_subsets=subsets, kid_subset_size=size, rng_seed=seed, verbose=False
    )[KEY_METRIC_KID_MEAN]
    return found


def precision_recall(features: Tensor, real: Tensor, neighbours: int) -> tuple[float, float]:
    """Precision and recall of features ``[n, d]``."""
    from torch_fidelity.metric_prc import prc_features_to_metric

    found = prc_features_to_metric(features, real, prc_neighborhood=neighbours, verbose=False)
    return found["precision"], found["recall"]


def inception(state: Mapping[str, Tensor], layer: str) -> nn.Module:
    """The Inception network of 2015 with weights that were read beforehand."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    file = io.BytesIO()  # it can be built from a file only
    torch.save(dict(state), file)
    file.seek(0)
    network: nn.Module = FeatureExtractorInceptionV3("inception-v3-compat", [layer], file)
    return network


def register(name: str, load: Callable[[Path], Callable[[Tensor], Tensor]]) -> str:
    """Make a network known to ``torch_fidelity.calculate_metrics`` and return its name there.

    Args:
        name: of the network. A second time under one name does nothing.
        load: from the file of the keyword ``feature_extractor_weights_path`` to a function that
            gives features ``[n, d]`` of images ``[n, 3, height, width]`` uint8.
    """
    from torch_fidelity import FeatureExtractorBase, register_feature_extractor
    from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

    class Registered(FeatureExtractorBase):
        def __init__(
            self, name: str, features_list: list[str], feature_extractor_weights_path: str, **_: Any
        ) -> None:
            super().__init__(name, features_list)
            self.features = load(Path(feature_extractor_weights_path))

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
            return (self.features(images),)

    known = f"genpathbench-{name}"
    if known not in FEATURE_EXTRACTORS_REGISTRY:
        register_feature_extractor(known, Registered)
    return known
