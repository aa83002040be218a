"""Consistency training without a teacher, in its improved form (Song & Dhariwal, 2023, 2310.14189).

The paper's levels double from 10 to 1280 over 400,000 updates; here they stop at 160, as a stage
has a few thousand. Its dropout and its narrower time features belong to the network, which is equal
for all formulations.
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

TITLE = "Consistency training"


class Options(OptionModel):
    """Options of consistency training."""

    first_levels: int = Field(10, ge=2, description="intervals between noise levels at the start")
    last_levels: int = Field(160, ge=2, description="intervals between noise levels at the end")


def formulation(options: Options) -> Formulation:
    """One training stage."""
    train = Train(
        name="train",
        share=1.0,
        path=path("edm"),
        coupling=coupling("independent"),
        objective=objective(
            "consistency",
            neighbour="pair",
            first_levels=options.first_levels,
            last_levels=options.last_levels,
        ),
        time_sampling=time_sampling("lognormal", mean=-1.1, std=2.0),
        weighting=weighting("inverse_gap"),
        prediction="consistency",
        fixed=("path", "prediction", "objective"),
    )
    return Formulation(stages=(train,), sampler="consistency", reference="2310.14189")
