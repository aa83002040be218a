"""What metrics, floors and features are called in tables and figures."""

from __future__ import annotations

from functools import cache

from bench.metrics.declared import titles
from bench.registry import discover

STRAIGHTNESS = ("straightness_native", "arc_over_chord", "straightness_linear")


REAL, HELD_OUT, COPIES = "floor.train", "floor.held_out", "floor.copies"

FLOORS = {
    REAL: "real samples",
    COPIES: "training data drawn again",
    "floor.gaussian": "fitted Gaussian",
    "floor.untrained": "untrained network",
}
"""Baselines of the primary metric; :data:`HELD_OUT` measures only what tells copies."""


FEATURES = {
    "digits": "digit classifier features",
    "fashion": "clothes classifier features",
    "cifar10": "CIFAR-10 classifier features",
    "efficientnet_lite0": "EfficientNet-Lite0 features",
    "dinov2": "DINOv2 features",
    "inception": "Inception features",
}
"""What networks of ``bench/metrics/extractors`` give; another one's go by its name."""


MEASURED_BY_STAGES = {
    "nll": "negative log-likelihood of held-out data (nats)",
    "bits_per_dim": "bits per dimension of held-out data",
    "field_rmse": "endpoint RMSE of the fine solve to the exact flow",
    "straightness_native": "straightness, own path and time",
    "arc_over_chord": "arc length over chord",
    "straightness_linear": "straightness after change to the linear path",
}
"""What no file of ``bench/metrics/measures`` measures, and so none can name."""


def metric_title(metric: str) -> str:
    """What a metric is called in figures and tables."""
    return _titles().get(metric, metric.replace("_", " "))


@cache
def _titles() -> dict[str, str]:
    """Every title by the name of its metric, in the features of every extractor."""
    by_metric = dict(MEASURED_BY_STAGES)
    for extractor in discover("extractors"):
        by_metric |= titles(extractor, FEATURES.get(extractor, f"{extractor} features"))
    return by_metric


def _spelt(label: str) -> str:
    """A label as a title: ``my_flow`` becomes ``My flow``."""
    return label[:1].upper() + label[1:].replace("_", " ")
