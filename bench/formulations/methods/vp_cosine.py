"""Variance-preserving diffusion on the cosine schedule, with noise prediction.

The simple loss of the paper (Nichol & Dhariwal, 2021, 2102.09672) in continuous time: its learned
variances and its hybrid loss serve ancestral sampling in discrete steps, and are not here. The path
is cut where it has as little data in it (alpha = 0.006) as linear beta has at its start: nearer to
pure noise, an error of the noise is a far larger one of the data, which the paper's sampler clips
to the range of pixels.
"""

from pydantic import Field

from bench.formulations.grammar import (
    Formulation,
    Train,
    coupling,
    objective,
    path,
    time_sampling,
    weighting,
)
from bench.options import OptionModel

TITLE = "VP diffusion, cosine"


class Options(OptionModel):
    """Options of VP diffusion on the cosine schedule."""

    offset: float = Field(0.008, gt=0, lt=1, description="the paper's s: keeps noise near the data")
    truncation: float = Field(4e-3, gt=0, lt=0.5, description="cut from both ends of the path")


def formulation(options: Options) -> Formulation:
    """One training stage."""
    train = Train(
        name="train",
        share=1.0,
        path=path("cosine", offset=options.offset, truncation=options.truncation),
        coupling=coupling("independent"),
        objective=objective("regression"),
        time_sampling=time_sampling("uniform"),
        weighting=weighting("unit"),
        prediction="noise",
    )
    return Formulation(stages=(train,), sampler="ode", reference="2102.09672")
