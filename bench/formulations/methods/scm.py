"""Continuous-time consistency models in TrigFlow (sCM, Lu & Song, 2024, 2410.11081).

As it comes, consistency training without a teacher (sCT); ``distilled`` first trains a TrigFlow
diffusion model and distils it (sCD). The paper starts both from a diffusion model and learns the
weighting of times; here sCT starts from a fresh network and the weighting is fixed. The network is
told the time itself, whose features change slowly enough to be differentiated.
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

TITLE = "sCM"


class Options(OptionModel):
    """Options of continuous-time consistency."""

    distilled: bool = Field(False, description="distil a diffusion model instead of training")
    teacher_share: float = Field(0.4, gt=0, lt=1, description="budget share of such a teacher")
    mean: float = Field(-1.0, description="mean of the log noise level")
    std: float = Field(1.4, gt=0, description="standard deviation of the log noise level")
    warmup: float = Field(0.1, gt=0, le=1, description="fraction of the stage that warms up")


def formulation(options: Options) -> Formulation:
    """One training stage; with a teacher, two."""
    trigonometric = path("trigonometric")
    independent = coupling("independent")
    teacher = Train(
        name="teacher",
        share=options.teacher_share,
        path=trigonometric,
        coupling=independent,
        objective=objective("regression"),
        time_sampling=time_sampling("lognormal", mean=options.mean, std=options.std),
        weighting=weighting("unit"),
        prediction="v",
        condition="time",
        fixed=("path", "prediction", "objective"),
    )
    train = Train(
        name="distill" if options.distilled else "train",
        share=1 - options.distilled * options.teacher_share,
        path=trigonometric,
        coupling=independent,
        objective=objective("continuous_consistency", warmup=options.warmup),
        time_sampling=teacher.time_sampling,
        weighting=weighting("unit"),
        prediction="v",
        condition="time",
        fixed=("path", "prediction", "objective"),
        init_from="teacher" if options.distilled else None,
        reads="teacher" if options.distilled else None,
    )
    stages = (teacher, train) if options.distilled else (train,)
    return Formulation(stages=stages, sampler="consistency", reference="2410.11081")
