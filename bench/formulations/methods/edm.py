"""EDM: preconditioned denoising with lognormal noise levels (Karras et al., 2022, 2206.00364).

Its loss weight ``(s^2 + sd^2)/(s*sd)^2`` on the error of the data is unit weight on the output of
its preconditioned network. Not here: augmentation, and the stochastic sampler.
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

TITLE = "EDM"


class Options(OptionModel):
    """Options of EDM."""

    mean: float = Field(-1.2, description="mean of the log noise level in training")
    std: float = Field(1.2, gt=0, description="standard deviation of the log noise level")


def formulation(options: Options) -> Formulation:
    """One training stage; solvers of fixed cost run on EDM's own grid."""
    train = Train(
        name="train",
        share=1.0,
        path=path("edm"),
        coupling=coupling("independent"),
        objective=objective("regression"),
        time_sampling=time_sampling("lognormal", mean=options.mean, std=options.std),
        weighting=weighting("unit"),
        prediction="edm",
    )
    return Formulation(stages=(train,), sampler="ode", reference="2206.00364", grid="karras")
