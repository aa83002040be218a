"""Chi-square divergence of the modes' occupancy: a mode that is missed, and weights that are wrong.

``sum_k (v_k - w_k)^2 / w_k`` between the weights w of the law and the mean responsibilities v of a
block of samples (Pearson, 1900), which have mean w under the law. Samples of the law score about
``(modes - 1) / block`` where modes lie apart. Beside ``mode_tv`` it weighs what is missed by how
rare it is, and it is defined for images too. How well a mode is drawn it does not see.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.metrics.declared import Needs
from bench.metrics.measurement import Measurement, over_blocks

if TYPE_CHECKING:
    from torch import Tensor

    from bench.data.mixture import GaussianMixture
    from bench.metrics.context import Context

NEEDS = Needs(exact=True)
DIRECTIONS = {"mode_chi2": "lower"}
SCALES = {"mode_chi2": "log"}
TITLES = {"mode_chi2": "chi-square divergence of mode weights"}


def compute(context: Context) -> list[Measurement]:
    """Mean over blocks, each against the law itself."""
    from bench.metrics.law import law_of, places_in_blocks

    law = law_of(context)
    values = [of_occupancy(law, there.shares.mean(dim=0)) for there in places_in_blocks(context)]
    return [over_blocks("mode_chi2", values, reference_set="exact")]


def of_occupancy(law: GaussianMixture, shares: Tensor) -> float:
    """Of the shares of samples in the modes, ``[k]``."""
    return ((shares - law.weights).square() / law.weights).sum().item()
