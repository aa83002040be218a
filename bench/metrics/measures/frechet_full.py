"""Frechet distance as papers print it: all samples of a cell against all training data.

With the Inception weights of 2015, 50,000 samples and CIFAR-10 this is the standard FID (Heusel et
al., 2017, 1706.08500), called ``fid_full`` here: the value to hold beside published ones. It ranks
models less honestly than the primary distance does, for a model that repeats its training data
scores best, and it has no floor: training data is not at a distance from itself. Its error is that
of the delete-block jackknife over the samples; that of the training data is the same for all
models. It does not apply where training is unlimited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bench.metrics.declared import Needs, measured_in
from bench.metrics.measurement import Measurement, refused

if TYPE_CHECKING:
    from bench.metrics.context import Context

NEEDS = Needs(kinds=("image",), extractor=True, finite=True)
DIRECTIONS = {"fd_{extractor}_full": "lower"}
SCALES = {"fd_{extractor}_full": "log"}
TITLES = {"fd_{extractor}_full": "Fréchet distance, all samples against all training data"}
LEFT_OUT: Final = 10
"""Blocks of samples that the jackknife leaves out in turn."""


def compute(context: Context) -> list[Measurement]:
    """One value of all samples of a cell; refused where they are too few for a covariance."""
    import torch

    from bench.metrics import features as _features
    from bench.metrics.gaussian_fits import moments, numpy_moments
    from bench.metrics.jackknife import frechet_jackknife
    from bench.metrics.measures.frechet import distance

    references = context.references
    name, network = _features.extractor_of(references), _features.declared(references)
    features = torch.cat(_features.of_samples(context, name, network))
    sample_moments = moments(features)
    real_features, real_moments = _features.of_real(references, name, network, "train")
    metric = measured_in("fd_{extractor}_full", name)
    columns: dict[str, Any] = {
        "reference_set": "train",
        "n_reference": real_moments.count,
        "extractor": name,
    }
    if (singular := sample_moments.singular or real_moments.singular) is not None:
        return [refused(metric, singular, **columns)]
    parts = [numpy_moments(x.numpy()) for x in features.tensor_split(LEFT_OUT)]
    whole = references.derived(
        ("jackknife", name, "train"), lambda: numpy_moments(real_features.numpy())
    )
    error = frechet_jackknife(parts, whole).error
    return [Measurement(metric, distance(sample_moments, real_moments), error, **columns)]
