"""Flow matching on the linear path with an independent coupling.

It is that of Lipman et al., 2022, 2210.02747, and of Tong et al., 2023, 2302.00482. With
``sigma_min = 0`` this is also 1-rectified flow (Liu et al., 2022, 2209.03003).
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

TITLE = "Flow matching"


class Options(OptionModel):
    """Options of flow matching."""

    sigma_min: float = Field(0.0, ge=0, lt=1, description="noise left at t=1")


def formulation(options: Options) -> Formulation:
    """One training stage."""
    train = Train(
        name="train",
        share=1.0,
        path=path("linear", sigma_min=options.sigma_min),
        coupling=coupling("independent"),
        objective=objective("regression"),
        time_sampling=time_sampling("uniform"),
        weighting=weighting("unit"),
        prediction="velocity",
    )
    return Formulation(stages=(train,), sampler="ode", reference="2210.02747")
