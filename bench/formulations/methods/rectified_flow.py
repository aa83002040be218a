"""k-rectified flow (Liu et al., 2022, 2209.03003).

Flow matching, then k-1 times: integrate the model's own probability flow from fresh noise, keep
(start, end) as pairs, and train on straight lines between them, starting from the last model.

``distilled`` adds the paper's section 3.3: once more pairs, of the last flow, and a student trained
at the start of the path alone, whose one Euler interval is the whole way. The paper measures its
error by LPIPS on images; the squared error stands in for it, for want of a network trained
elsewhere.
"""

from pydantic import Field

from bench.formulations.grammar import (
    Formulation,
    Pairs,
    Stage,
    Train,
    coupling,
    objective,
    path,
    time_sampling,
    weighting,
)
from bench.options import OptionModel

TITLE = "Rectified flow"


class Options(OptionModel):
    """Options of rectified flow."""

    k: int = Field(2, ge=2, le=5, description="number of flows, the first one included")
    pair_share: float = Field(0.15, gt=0, lt=0.5, description="budget share of each set of pairs")
    pair_solver: str = Field("heun2", description="solver of fixed cost that makes the pairs")
    pair_nfe: int = Field(16, ge=1, description="evaluations spent on a pair")
    from_scratch: bool = Field(False, description="start each flow from a fresh network")
    distilled: bool = Field(False, description="end with a student of one interval")


def formulation(options: Options) -> Formulation:
    """Training, then pairs and training for each further flow, in equal training shares."""
    linear = path("linear")
    sets = options.k - 1 + options.distilled
    share = (1 - sets * options.pair_share) / (sets + 1)
    stages: list[Stage] = [
        Train(
            name="flow_1",
            share=share,
            path=linear,
            coupling=coupling("independent"),
            objective=objective("regression"),
            time_sampling=time_sampling("uniform"),
            weighting=weighting("unit"),
            prediction="velocity",
        )
    ]
    for k in range(2, sets + 2):
        previous, distill = f"flow_{k - 1}", k > options.k
        pairs = Pairs(
            name=f"pairs_{k}",
            share=options.pair_share,
            path=linear,
            reads=previous,
            solver=options.pair_solver,
            nfe=options.pair_nfe,
        )
        flow = Train(
            name="distill" if distill else f"flow_{k}",
            share=share,
            path=linear,
            coupling=coupling("paired"),
            objective=objective("regression"),
            time_sampling=time_sampling("start" if distill else "uniform"),
            weighting=weighting("unit"),
            prediction="velocity",
            fixed=("time_sampling",) if distill else (),
            init_from=None if options.from_scratch and not distill else previous,
            reads=pairs.name,
        )
        stages += [pairs, flow]
    return Formulation(stages=tuple(stages), sampler="ode", reference="2209.03003")
