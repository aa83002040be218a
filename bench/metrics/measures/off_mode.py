"""Share of samples beyond three deviations of every mode, over what the exact law itself has.

A sample is off the modes where it lies in no mode's ellipsoid ``(x - mu)^T S^-1 (x - mu) <= r^2``.
In the plane r is 3, and the ellipsoid holds ``1 - exp(-9/2) = 0.989`` of the mode's own points; in
more dimensions r is such that it holds the same share. What is drawn wrongly inside the modes,
their weights among it, is not seen; samples that keep closer to the modes than data do score below
0.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from bench.metrics.declared import Needs
from bench.metrics.measurement import Measurement

if TYPE_CHECKING:
    from torch import Tensor

    from bench.data.mixture import GaussianMixture
    from bench.metrics.context import Context

NEEDS = Needs(exact=True)
DIRECTIONS = {"off_mode_excess": None}
SCALES = {"off_mode_excess": "linear"}
TITLES = {"off_mode_excess": "excess share of samples off the modes"}
OUTSIDE: Final = math.exp(-(3.0**2) / 2)
"""Share of a mode's points that lie outside of its ellipsoid: three deviations in the plane."""


def compute(context: Context) -> list[Measurement]:
    """Over all samples; they are independent, so the error is that of a share."""
    from bench.metrics.law import law_of, places

    law = law_of(context)
    expected = context.references.derived("off mode", lambda: expected_share(law))
    off = off_modes(law, places(context).squared).double()
    error = (off.std() / len(off) ** 0.5).item()
    value = off.mean().item() - expected
    return [Measurement("off_mode_excess", value, error, reference_set="exact")]


def off_modes(law: GaussianMixture, squared: Tensor) -> Tensor:
    """Whether points lie off every mode, ``[n]``; of their ``squared`` deviations ``[n, k]``."""
    return squared.amin(dim=1) > _radius(law)


def expected_share(law: GaussianMixture) -> float:
    """Share of the law's own points that lie off every mode.

    It is ``exp(-9/2)``, that of points off the mode that they stem from, less the share of those
    that lie within another one: only the latter is a mean over draws.
    """
    import torch

    from bench.metrics.law import DRAWS, located
    from bench.streams import stream

    x, mode = law.draw(DRAWS, stream("off_mode"))
    squared = located(law, x).squared
    left = squared[torch.arange(DRAWS), mode] > _radius(law)
    elsewhere = left & ~off_modes(law, squared)
    return OUTSIDE - elsewhere.double().mean().item()


def _radius(law: GaussianMixture) -> float:
    """The squared radius r^2 of an ellipsoid."""
    from scipy.stats import chi2

    return float(chi2.isf(OUTSIDE, law.means.shape[1]))
