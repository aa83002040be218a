"""Variance-preserving diffusion with noise prediction.

The path is that of Song et al., 2020, 2011.13456, the prediction that of Ho et al., 2020,
2006.11239.
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

TITLE = "VP diffusion"


class Options(OptionModel):
    """Options of VP diffusion."""

    beta_min: float = Field(0.1, gt=0, description="noise rate at the data end")
    beta_max: float = Field(20.0, gt=0, description="noise rate at the noise end")
    truncation: float = Field(1e-3, gt=0, lt=1, description="the path is used for t <= 1 - this")


def formulation(options: Options) -> Formulation:
    """One training stage."""
    train = Train(
        name="train",
        share=1.0,
        path=path(
            "vp",
            beta_min=options.beta_min,
            beta_max=options.beta_max,
            truncation=options.truncation,
        ),
        coupling=coupling("independent"),
        objective=objective("regression"),
        time_sampling=time_sampling("uniform"),
        weighting=weighting("unit"),
        prediction="noise",
    )
    return Formulation(stages=(train,), sampler="ode", reference="2011.13456")
