"""Flow matching with minibatch optimal-transport couplings.

Those of Tong et al., 2023, 2302.00482, and of Pooladian et al., 2023, 2304.14772.
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

TITLE = "OT flow matching"


class Options(OptionModel):
    """Options of minibatch OT flow matching."""

    sigma_min: float = Field(0.0, ge=0, lt=1, description="noise left at t=1")
    block: int = Field(16, ge=2, description="samples assigned jointly, at most the batch")


def formulation(options: Options) -> Formulation:
    """One training stage."""
    train = Train(
        name="train",
        share=1.0,
        path=path("linear", sigma_min=options.sigma_min),
        coupling=coupling("minibatch_ot", block=options.block),
        objective=objective("regression"),
        time_sampling=time_sampling("uniform"),
        weighting=weighting("unit"),
        prediction="velocity",
    )
    return Formulation(stages=(train,), sampler="ode", reference="2302.00482")
