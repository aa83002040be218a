"""k-rectified flow (Liu et al., 2209.03003).

Flow matching, then k-1 times: integrate the model's own probability flow from fresh noise, keep
(start, end) as pairs, and train on straight lines between them, starting from the last model.
"""

from typing import Literal

from pydantic import Field

from bench.declarations import (
    Formulation,
    OptionModel,
    Stage,
    coupling,
    objective,
    path,
    time_sampling,
    weighting,
)

TITLE = "Rectified flow"


class Options(OptionModel):
    """Options of rectified flow."""

    k: int = Field(2, ge=2, le=5, description="number of flows, the first one included")
    pair_share: float = Field(0.15, gt=0, lt=0.5, description="budget share of each set of pairs")
    pair_solver: Literal["euler", "midpoint", "heun2", "rk4"] = "heun2"
    pair_nfe: int = Field(16, ge=1, description="evaluations spent on a pair")
    from_scratch: bool = Field(False, description="start each flow from a fresh network")


def formulation(options: Options) -> Formulation:
    """Training, then pairs and training for each further flow, in equal training shares."""
    linear = path("linear")
    share = (1 - (options.k - 1) * options.pair_share) / options.k
    stages = [
        Stage(
            name="flow_1",
            kind="train",
            share=share,
            path=linear,
            coupling=coupling("independent"),
            objective=objective("regression"),
            time_sampling=time_sampling("uniform"),
            weighting=weighting("unit"),
            prediction="velocity",
        )
    ]
    for k in range(2, options.k + 1):
        previous = f"flow_{k - 1}"
        pairs = Stage(
            name=f"pairs_{k}",
            kind="pairs",
            share=options.pair_share,
            path=linear,
            reads=previous,
            solver=options.pair_solver,
            nfe=options.pair_nfe,
        )
        flow = Stage(
            name=f"flow_{k}",
            kind="train",
            share=share,
            path=linear,
            coupling=coupling("paired"),
            objective=objective("regression"),
            time_sampling=time_sampling("uniform"),
            weighting=weighting("unit"),
            prediction="velocity",
            init_from=None if options.from_scratch else previous,
            reads=pairs.name,
        )
        stages += [pairs, flow]
    return Formulation(stages=tuple(stages), sampler="ode", reference="2209.03003")
