"""Shortcut models: a velocity that also knows how far it is to be followed.

The method of Frans et al., 2024, 2410.12557. Trained from nothing in one stage: flow matching for
leaps of no length, and for longer ones the model's own two leaps of half the length. Their targets
come from the weights themselves, not from their moving average as in the paper.
"""

from pydantic import Field, field_validator

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

TITLE = "Shortcut"


class Options(OptionModel):
    """Options of shortcut models."""

    finest: int = Field(128, ge=2, description="shortest leaps that fill the path; a power of two")

    @field_validator("finest")
    @classmethod
    def _power_of_two(cls, finest: int) -> int:
        if finest & (finest - 1):
            raise ValueError("write a power of two")
        return finest


def formulation(options: Options) -> Formulation:
    """One training stage."""
    train = Train(
        name="train",
        share=1.0,
        path=path("linear"),
        coupling=coupling("independent"),
        objective=objective("shortcut", finest=options.finest),
        time_sampling=time_sampling("uniform"),
        weighting=weighting("unit"),
        prediction="velocity",
        condition="interval",
        fixed=("prediction", "objective"),
    )
    return Formulation(stages=(train,), sampler="flow_map", reference="2410.12557")
