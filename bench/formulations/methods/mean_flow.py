"""Mean flows: a network of two times that gives the average velocity between them.

The method of Geng et al., 2025, 2505.13447. Trained from nothing in one stage, without a teacher, a
schedule or a moving average in the target. Times reach both ends of the path, as one leap over the
whole of it asks for: logit-normal with the standard deviation that the paper takes for CIFAR-10,
centred. The loss is the squared error, which the paper compares: its adaptive weight (power 0.75
and 1) pays on images, whose errors are all about as large, but in few dimensions it moves the
average velocity away from the mean.
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

TITLE = "Mean flow"


class Options(OptionModel):
    """Options of mean flows."""

    mean: float = Field(0.0, description="mean of the logit of t; positive towards the data")
    std: float = Field(2.0, gt=0, description="standard deviation of the logit of t")
    instantaneous: float = Field(0.75, ge=0, le=1, description="share without an interval")
    power: float = Field(0.0, ge=0, description="of the adaptive weight; 0 for the squared error")


def formulation(options: Options) -> Formulation:
    """One training stage."""
    train = Train(
        name="train",
        share=1.0,
        path=path("linear"),
        coupling=coupling("independent"),
        objective=objective("mean_flow", instantaneous=options.instantaneous, power=options.power),
        time_sampling=time_sampling("logit_normal", mean=options.mean, std=options.std),
        weighting=weighting("unit"),
        prediction="velocity",
        condition="interval",
        fixed=("prediction", "objective"),
    )
    return Formulation(stages=(train,), sampler="flow_map", reference="2505.13447")
