"""Frechet distance in a second feature space, that of an untrained network.

A distance in one space says what that network sees. The extractor of a data set was trained to
tell its classes apart; ``bench/metrics/extractors/random_conv.py`` was trained for nothing, and
says why it rather than raw pixels. Where both spaces agree on an order of models, it is not one
network's taste.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.metrics.declared import Needs
from bench.metrics.measurement import Measurement
from bench.metrics.measures.frechet import frechet

if TYPE_CHECKING:
    from bench.metrics.context import Context

NEEDS = Needs(kinds=("image",), extractor=True)
DIRECTIONS = {"fd_random_conv": "lower"}
SCALES = {"fd_random_conv": "log"}
TITLES = {"fd_random_conv": "Fréchet distance (untrained network's features)"}


def compute(context: Context) -> list[Measurement]:
    """Against held-out data, mean over blocks."""
    from bench.metrics.extractors.random_conv import RandomConvolutions

    references = context.references
    network = references.derived("random_conv", lambda: RandomConvolutions().to(references.device))
    return [frechet(context, "random_conv", network, "held_out")]
