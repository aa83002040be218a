"""What metrics, floors and features are called in tables and figures."""

from __future__ import annotations

from bench.registry import discover

STRAIGHTNESS = ("straightness_native", "arc_over_chord", "straightness_linear")


FLOORS = {
    "floor.train": "train vs held-out",
    "floor.gaussian": "fitted Gaussian",
    "floor.untrained": "untrained network",
}


FEATURES = {
    "digits": "digit classifier features",
    "fashion": "clothes classifier features",
    "cifar10": "CIFAR-10 classifier features",
    "efficientnet_lite0": "EfficientNet-Lite0 features",
    "dinov2": "DINOv2 features",
    "inception": "Inception features",
}
"""What networks of ``bench/metrics/extractors`` give; another one's go by its name."""


FEATURE_TITLES = {
    "fd_{}": "Fréchet distance ({})",
    "fd_{}_inf": "Fréchet distance extrapolated to infinite samples",
    "fd_{}_full": "Fréchet distance, all samples against all training data",
    "kid_{}": "KID ({})",
    "precision_{}": "precision",
    "recall_{}": "recall",
    "density_{}": "density",
    "coverage_{}": "coverage",
}


METRIC_TITLES = {
    "fid": "FID",
    "fid_inf": "FID extrapolated to infinite samples",
    "fid_full": "FID, all samples against all training data",
    "w2": "2-Wasserstein distance",
    "fd_random_conv": "Fréchet distance (untrained network's features)",
    "memorisation": "memorisation",
    "authenticity": "authenticity",
    "sliced_w2": "sliced 2-Wasserstein distance",
    "energy_distance": "energy distance",
    "mode_coverage": "share of modes covered",
    "mode_tv": "total variation of mode weights",
    "mmd": "maximum mean discrepancy to the exact law",
    "mmd2_unbiased": "squared maximum mean discrepancy, unbiased",
    "sample_nll": "negative log density of samples under the exact law (nats)",
    "nll": "negative log-likelihood of held-out data (nats)",
    "bits_per_dim": "bits per dimension of held-out data",
    "endpoint_rmse": "endpoint RMSE to a fine solve",
    "total_rmse": "endpoint RMSE to the exact flow",
    "field_rmse": "endpoint RMSE of the fine solve to the exact flow",
    "straightness_native": "straightness, own path and time",
    "arc_over_chord": "arc length over chord",
    "straightness_linear": "straightness after change to the linear path",
}


def metric_title(metric: str) -> str:
    """What a metric is called in figures and tables."""
    if metric in METRIC_TITLES:
        return METRIC_TITLES[metric]
    for name in discover("extractors"):
        for stem, title in FEATURE_TITLES.items():
            if metric == stem.format(name):
                return title.format(FEATURES.get(name, f"{name} features"))
    return metric.replace("_", " ")


def _spelt(label: str) -> str:
    """A label as a title: ``my_flow`` becomes ``My flow``."""
    return label[:1].upper() + label[1:].replace("_", " ")
