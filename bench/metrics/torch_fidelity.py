"""torch-fidelity: the only file that imports it.

Its functions on features and on moments of features, and its Inception network. Everything is
imported when it is called: the package takes seconds.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn


def frechet(
    first: tuple[NDArray[Any], NDArray[Any]], second: tuple[NDArray[Any], NDArray[Any]]
) -> float:
    """Squared Frechet distance between two Gaussians, each a mean ``[d]`` and ``[d, d]``."""
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric

    first_law, second_law = (
        {"mu": mean, "sigma": covariance} for mean, covariance in (first, second)
    )
    distance: float = fid_statistics_to_metric(first_law, second_law, verbose=False)[KEY_METRIC_FID]
    return distance


def kernel_distance(features: Tensor, real: Tensor, subsets: int, size: int, seed: int) -> float:
    """KID of features ``[n, d]``: unbiased, squared, mean over random subsets."""
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    distance: float = kid_features_to_metric(
        features, real, kid_subsets=subsets, kid_subset_size=size, rng_seed=seed, verbose=False
    )[KEY_METRIC_KID_MEAN]
    return distance


def precision_recall(features: Tensor, real: Tensor, neighbours: int) -> tuple[float, float]:
    """Precision and recall of features ``[n, d]``."""
    from torch_fidelity.metric_prc import prc_features_to_metric

    scores = prc_features_to_metric(features, real, prc_neighborhood=neighbours, verbose=False)
    return scores["precision"], scores["recall"]


def inception(state: Mapping[str, Tensor], layer: str) -> nn.Module:
    """The Inception network of 2015 with weights that were read beforehand."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    file = io.BytesIO()  # it can be built from a file only
    torch.save(dict(state), file)
    file.seek(0)
    network: nn.Module = FeatureExtractorInceptionV3("inception-v3-compat", [layer], file)
    return network
