"""Progressive distillation: students that each do two steps of the last in one.

The method of Salimans & Ho, 2022, 2202.00512. A diffusion model in v-prediction on the cosine path,
then one student after another, each starting from the model that teaches it and crossing the path
in half as many DDIM steps. The paper gives the last students more updates than the first ones; here
all students share equally.
"""

from typing import Self

from pydantic import Field, model_validator

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

TITLE = "Progressive distillation"


class Options(OptionModel):
    """Options of progressive distillation."""

    teacher_share: float = Field(0.4, gt=0, lt=1, description="budget share of the first teacher")
    first_steps: int = Field(16, ge=1, description="DDIM steps of the first student")
    last_steps: int = Field(1, ge=1, description="DDIM steps of the last student")

    @model_validator(mode="after")
    def _halvings(self) -> Self:
        ratio, remainder = divmod(self.first_steps, self.last_steps)
        if remainder or ratio & (ratio - 1) or ratio < 1:
            raise ValueError("first_steps must be last_steps times a power of two")
        return self


def formulation(options: Options) -> Formulation:
    """A teacher, then a student for every number of steps."""
    teacher = Train(
        name="teacher",
        share=options.teacher_share,
        path=path("trigonometric"),
        coupling=coupling("independent"),
        objective=objective("regression"),
        time_sampling=time_sampling("uniform"),
        weighting=weighting("truncated_snr"),
        prediction="v",
        fixed=("objective",),
    )
    halvings = (options.first_steps // options.last_steps).bit_length()
    stages = [teacher]
    for halving in range(halvings):
        steps = options.first_steps // 2**halving
        student = Train(
            name=f"student_{steps}",
            share=(1 - options.teacher_share) / halvings,
            path=teacher.path,
            coupling=teacher.coupling,
            objective=objective("progressive", steps=steps),
            time_sampling=teacher.time_sampling,
            weighting=teacher.weighting,
            prediction=teacher.prediction,
            fixed=("objective",),
            init_from=stages[-1].name,
            reads=stages[-1].name,
        )
        stages.append(student)
    return Formulation(stages=tuple(stages), sampler="flow_map", reference="2202.00512")
