"""Easy consistency tuning (ECT): a diffusion model, tuned into a consistency model.

It is the method of Geng et al., 2024, 2406.14548. The tuning starts as denoising from far levels
and ends near the differential condition, by the paper's continuous schedule of neighbours. Its
levels are the paper's for CIFAR-10; the distance is the pseudo-Huber one of improved consistency
training, whose weight ECT writes as an adaptive one, and the dropout shared by both neighbours is
left out, as all networks here have none.
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

TITLE = "Consistency tuning"


class Options(OptionModel):
    """Options of consistency tuning."""

    diffusion_share: float = Field(
        0.5, gt=0, lt=1, description="budget share of the diffusion model"
    )
    halvings: int = Field(8, ge=1, description="how often neighbours draw nearer by half")


def formulation(options: Options) -> Formulation:
    """An EDM diffusion model, then a consistency model that starts from it."""
    edm = path("edm")
    independent = coupling("independent")
    diffusion = Train(
        name="diffusion",
        share=options.diffusion_share,
        path=edm,
        coupling=independent,
        objective=objective("regression"),
        time_sampling=time_sampling("lognormal"),
        weighting=weighting("unit"),
        prediction="edm",
        fixed=("path", "objective"),
    )
    tune = Train(
        name="tune",
        share=1 - options.diffusion_share,
        path=edm,
        coupling=independent,
        objective=objective(
            "consistency",
            neighbour="pair",
            schedule="continuous",
            halvings=options.halvings,
        ),
        time_sampling=time_sampling("lognormal", mean=-1.1, std=2.0),
        weighting=weighting("inverse_gap"),
        prediction="consistency",
        fixed=("path", "prediction", "objective"),
        init_from="diffusion",
    )
    return Formulation(stages=(diffusion, tune), sampler="consistency", reference="2406.14548")
