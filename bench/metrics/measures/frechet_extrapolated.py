"""Frechet distance extrapolated to infinitely many samples, with the error of its fit.

The distance between ``n`` samples and a fixed reference has a bias of about ``c / n``, where ``c``
differs between models. Chong and Forsyth, 2019, 1911.07023, measure it at several ``n``, fit a line
in ``1 / n`` and report the intercept. Here ``n = N, N/2, N/3, N/4``, equally spaced in ``1 / n``:
at ``N/j`` the value is the mean over the ``j`` disjoint parts of a keyed shuffle of the samples, so
that every point of the fit uses all of them and none is generated anew. The error is that of the
intercept in the least-squares fit; it holds for these samples, and says nothing of retraining.

The reference is the whole held-out set. What its own finite size adds is not extrapolated: it is
the same for all models, and the floor shows it. Samples are put in an order of their own (that of
the sum of their features) before the shuffle, so that theirs does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from bench.metrics.declared import Needs, measured_in
from bench.metrics.measurement import Measurement, refused

if TYPE_CHECKING:
    from torch import Tensor

    from bench.metrics.context import Context
    from bench.metrics.gaussian_fits import Moments

NEEDS = Needs(kinds=("image",), extractor=True)
DIRECTIONS = {"fd_{extractor}_inf": "lower"}
SCALES = {"fd_{extractor}_inf": "linear"}
TITLES = {"fd_{extractor}_inf": "Fréchet distance extrapolated to infinite samples"}
PARTS: Final = (1, 2, 3, 4)
"""Numbers of parts into which the samples are divided, a point of the fit each."""

SPARE: Final = 4
"""Least size of a part, in dimensions of the features: below, the bias is no line in ``1 / n``.

Numbers that give smaller parts are left out.
"""

LEAST: Final = 3
"""Points that a line is fitted to, so that the fit has an error."""


def compute(context: Context) -> list[Measurement]:
    """One value of all samples of a cell; refused where too few parts have a covariance."""
    import torch

    from bench.metrics import features as _features
    from bench.streams import stream

    references = context.references
    name, network = _features.extractor_of(references), _features.declared(references)
    features = torch.cat(_features.of_samples(context, name, network))
    _, real = _features.of_real(references, name, network, "held_out")
    metric = measured_in("fd_{extractor}_inf", name)
    columns: dict[str, Any] = {
        "reference_set": "held_out",
        "n_reference": real.count,
        "extractor": name,
    }
    smallest = SPARE * features.shape[1]
    parts = [count for count in PARTS if len(features) // count >= smallest]
    if real.singular or len(parts) < LEAST:
        few = f"{len(features)} samples have fewer than {LEAST} parts of {smallest} and more"
        return [refused(metric, real.singular or few, **columns)]
    order = features.double().sum(dim=1).argsort()
    generator = stream("frechet_extrapolated", len(features))
    shuffled = features[order[torch.randperm(len(features), generator=generator)]]
    value, error = extrapolated(shuffled, real, parts)
    return [Measurement(metric, value, error, **columns)]


def extrapolated(
    features: Tensor, real: Moments[Tensor], parts: Sequence[int] = PARTS
) -> tuple[float, float]:
    """Intercept of the fit over ``1 / n``, and its standard error; ``features [n, d]`` shuffled."""
    from scipy.stats import linregress

    from bench.metrics.gaussian_fits import distances

    values, inverse = [], []
    for count in parts:
        size = len(features) // count
        sets = features[: size * count].double().reshape(count, size, -1)
        values.append(distances(sets, real).mean().item())
        inverse.append(1 / size)
    fit = linregress(inverse, values)
    return float(fit.intercept), float(fit.intercept_stderr)
