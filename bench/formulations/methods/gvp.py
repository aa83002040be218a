"""Generalised variance preserving: velocity prediction on the trigonometric path.

SiT's interpolant of that name (Ma et al., 2024, 2401.08740), also the trigonometric interpolant of
Albergo et al., 2023, 2303.08797. SiT compares it with the linear path at equal training, which is
flow matching here.
"""

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

TITLE = "GVP"


class Options(OptionModel):
    """GVP has no options."""


def formulation(options: Options) -> Formulation:
    """One training stage."""
    train = Train(
        name="train",
        share=1.0,
        path=path("trigonometric"),
        coupling=coupling("independent"),
        objective=objective("regression"),
        time_sampling=time_sampling("uniform"),
        weighting=weighting("unit"),
        prediction="velocity",
    )
    return Formulation(stages=(train,), sampler="ode", reference="2401.08740")
