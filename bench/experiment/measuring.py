"""The sections of an experiment file that say what is measured beside the sweep, and how."""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from bench.experiment.sections import Counts, PathNames, Solvers, Unnamed
from bench.options import Count, Natural, OptionModel, Positive, number


class UnifiedViewSpec(OptionModel):
    """Sample every model that solves an equation on other paths than the one it was trained on.

    A model of one Gaussian path is a model of every other one (Kingma & Gao, 2023, 2303.00848). All
    paths are sampled at the same points of log_snr: equal steps over the range that the listed
    paths share.
    """

    paths: PathNames = Field(default=["linear", "vp", "cosine", "trigonometric", "edm"])
    solvers: Solvers = Field(default=["euler"])
    nfe: Annotated[Counts, Field(min_length=1)] = Field(default=[4, 16])


class LikelihoodSpec(OptionModel):
    """Likelihood of held-out data under every model that has a probability flow.

    Attributes:
        tolerance: relative and absolute, of dopri5.
        exact_trace: most dimensions whose trace is exact, by a vector-Jacobian product each.
        probes: random signs that estimate a larger one; several, so that their error shows.
        samples: held-out samples, or all where there are fewer.
        batch_size: samples solved together, which the evaluations depend on.
    """

    tolerance: Positive = 1.0e-5
    exact_trace: Count = 16
    probes: Annotated[int, Field(ge=2), BeforeValidator(number)] = 8
    samples: Count = 597
    batch_size: Count = 597

    def products(self, dimension: int) -> int:
        """Vector-Jacobian products of an evaluation, for samples of a dimension."""
        return dimension if dimension <= self.exact_trace else self.probes


class ConvergenceSpec(OptionModel):
    """Measure the order of convergence of every solver on an exact flow, on these paths."""

    paths: PathNames = Field(default=["linear", "vp", "trigonometric"])


class MetricsSpec(OptionModel):
    """Settings of the metrics: KID subsets, neighbours of precision and recall, and floors.

    ``floor_repeats`` is how often real samples, and copies, are drawn for the floor: its band.
    ``floor_repeats_ranked`` is how often real samples are drawn in all, where the law can be drawn
    from without end, for the metrics alone that rank (``ranked_by``): the floor's own luck is
    shared by all cells that are held against it, and some hundreds of draws make it small. None for
    no more than the others.
    """

    kid_subsets: Count = 10
    kid_subset_size: Count = 298
    neighbours: Count = 3
    floor_repeats: Annotated[Count, Unnamed()] = 20
    floor_repeats_ranked: Annotated[Count | None, Unnamed()] = None


class TimingSpec(OptionModel):
    """How seconds a sample are measured: the median over ``repeats`` after ``warmup`` runs.

    ``seeds`` is how many training seeds are timed, one after the other: the replicates.
    """

    batch_size: Count = 256
    repeats: Count = 5
    warmup: Natural = 1
    seeds: Annotated[Count, Unnamed()] = 1


class ExtractorSpec(OptionModel):
    """How the feature extractor of a data set is trained, on its training half only.

    ``weights`` is the file of an extractor that was trained elsewhere; None looks for it in its
    standard place. Its digest is fixed in the code, so that where it lies changes no number.
    ``samples`` are drawn for it where training is unlimited, and seen by nothing else; they are no
    part of the held-out ones, however many of those the data set keeps.
    """

    epochs: Count = 40
    batch_size: Count = 100
    learning_rate: Positive = 2.0e-3
    seed: Natural = 0
    samples: Annotated[Count, Unnamed()] = 20_000
    weights: Annotated[Annotated[str, AfterValidator(os.path.expanduser)] | None, Unnamed()] = None
