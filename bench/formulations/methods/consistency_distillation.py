"""Consistency distillation (Song et al., 2023, 2303.01469) of an EDM model, the teacher charged."""

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

TITLE = "Consistency distillation"


class Options(OptionModel):
    """Options of consistency distillation."""

    teacher_share: float = Field(0.4, gt=0, lt=1, description="budget share of the teacher")
    first_levels: int = Field(10, ge=2, description="intervals between noise levels at the start")
    last_levels: int = Field(18, ge=2, description="intervals between noise levels at the end")


def formulation(options: Options) -> Formulation:
    """A teacher, then a student that starts from it."""
    edm = path("edm")
    independent = coupling("independent")
    teacher = Train(
        name="teacher",
        share=options.teacher_share,
        path=edm,
        coupling=independent,
        objective=objective("regression"),
        time_sampling=time_sampling("lognormal"),
        weighting=weighting("unit"),
        prediction="edm",
        fixed=("path", "objective"),
    )
    student = Train(
        name="distill",
        share=1 - options.teacher_share,
        path=edm,
        coupling=independent,
        objective=objective(
            "consistency",
            neighbour="teacher",
            first_levels=options.first_levels,
            last_levels=options.last_levels,
        ),
        time_sampling=time_sampling("lognormal", mean=-1.1, std=2.0),
        weighting=weighting("inverse_gap"),
        prediction="consistency",
        fixed=("path", "prediction", "objective"),
        init_from="teacher",
        reads="teacher",
    )
    return Formulation(stages=(teacher, student), sampler="consistency", reference="2303.01469")
