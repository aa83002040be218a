"""The recipe behind Stable Diffusion 3 and Flux: flow matching, times in the middle.

From the paper (Esser et al., 2024, 2403.03206) are the straight path, the velocity loss,
logit-normal times, and times of sampling shifted towards the noise. The shift of training times is
for high resolution and off by default. Autoencoder, transformer and text encoders are networks,
which are equal for all formulations here.
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

TITLE = "SD3"


class Options(OptionModel):
    """Options of SD3's recipe."""

    mean: float = Field(0.0, description="mean of the logit of t; positive towards the data")
    std: float = Field(1.0, gt=0, description="standard deviation of the logit of t")
    shift: float = Field(1.0, gt=0, description="shift of training times towards the noise")


def formulation(options: Options) -> Formulation:
    """One training stage; solvers of fixed cost run on the shifted grid."""
    times = time_sampling("logit_normal", mean=options.mean, std=options.std, shift=options.shift)
    train = Train(
        name="train",
        share=1.0,
        path=path("linear"),
        coupling=coupling("independent"),
        objective=objective("regression"),
        time_sampling=times,
        weighting=weighting("unit"),
        prediction="velocity",
    )
    return Formulation(stages=(train,), sampler="ode", reference="2403.03206", grid="shifted_t")
