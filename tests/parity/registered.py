"""An extractor of ours in torch-fidelity's registry, for its own computation of every metric."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor
from torch_fidelity import FeatureExtractorBase, register_feature_extractor
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

from bench.metrics.extractors import load

LAYER = "features"


def register(extractor: str) -> str:
    """Register an extractor and return its name in ``torch_fidelity.calculate_metrics``.

    The weights are its keyword ``feature_extractor_weights_path``. A second time does nothing.
    """

    class Registered(FeatureExtractorBase):
        def __init__(
            self, name: str, features_list: list[str], feature_extractor_weights_path: str, **_: Any
        ) -> None:
            super().__init__(name, features_list)
            self.features = load(extractor, Path(feature_extractor_weights_path)).features

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

    name = f"genpathbench-{extractor}"
    if name not in FEATURE_EXTRACTORS_REGISTRY:
        register_feature_extractor(name, Registered)
    return name
